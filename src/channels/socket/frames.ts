import type { Message } from '../../store.ts'
import { isMessage } from '../message.ts'

/** The most that a message and its topic may take, as JSON in UTF-8: in bytes. A larger one is dropped. */
export const maxMessage = 16_384
/** The most that a line may take: what stands around the two is far shorter than the rest of this. */
const maxLine = maxMessage + 256

/** One line of what a connection carries. */
export interface Frame {
  readonly topic: string
  /** Random: one publisher. */
  readonly sender: string
  /** Rises from one message of this sender to the next. */
  readonly number: number
  readonly message: Message
}

/** @returns undefined for what is no message, or too large */
export function encodeFrame({ topic, sender, number, message }: Frame): string | undefined {
  if (!isMessage(message)) return undefined
  const [said, about] = [JSON.stringify(message), JSON.stringify(topic)]
  if (Buffer.byteLength(said) + Buffer.byteLength(about) > maxMessage) return undefined
  return `[${about},${JSON.stringify(sender)},${number},${said}]\n`
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
    if (rest.length > maxLine) return false
    for (const line of lines) {
      const frame = line.length <= maxLine ? decodeFrame(line) : undefined
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
