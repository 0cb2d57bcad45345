import type { Message } from '../../store.ts'

/** The most that a message may take with its topic and its envelope, as JSON in UTF-8: in bytes. A larger one is dropped. */
export const maxMessage = 16_384

/** One line of what a connection carries. */
export interface Frame {
  readonly topic: string
  /** Random: one publisher. */
  readonly sender: string
  /** Rises from one message of this sender to the next. */
  readonly number: number
  readonly message: Message
}

/** @returns undefined for a message that cannot be said, or is too large */
export function encodeFrame({ topic, sender, number, message }: Frame): string | undefined {
  try {
    const line = `${JSON.stringify([topic, sender, number, message])}\n`
    return Buffer.byteLength(line) <= maxMessage ? line : undefined
  } catch {
    return undefined
  }
}

/**
 * Puts lines together from pieces.
 * @returns takes the next piece; what it returns is false once that cannot have come from a channel
 */
export function frameReader(take: (frame: Frame) => void): (piece: string) => boolean {
  let rest = ''
  return (piece) => {
    const lines = (rest + piece).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > maxMessage) return false
    for (const line of lines) {
      const frame = line.length <= maxMessage ? decodeFrame(line) : undefined
      if (!frame) return false
      take(frame)
    }
    return true
  }
}

function decodeFrame(line: string): Frame | undefined {
  let parts: unknown
  try {
    parts = JSON.parse(line)
  } catch {
    return undefined
  }
  if (!Array.isArray(parts) || parts.length !== 4) return undefined
  const [topic, sender, number, message] = parts
  const isFrame = typeof topic === 'string' && typeof sender === 'string' && Number.isSafeInteger(number) && isMessage(message)
  return isFrame ? { topic, sender, number, message } : undefined
}

const isMessage = (value: unknown): value is Message =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  Object.values(value).every((part) => part === null || ['string', 'number', 'boolean'].includes(typeof part))
