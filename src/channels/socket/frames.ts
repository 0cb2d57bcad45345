import type { Message } from '../../store.ts'
import { isMessage } from '../message.ts'

/** The longest message with its topic, as JSON in UTF-8, in bytes. A longer one is dropped. */
export const maxMessage = 16_384
/** The longest line: the rest of a frame is far shorter than the reserve here. */
const maxLine = maxMessage + 256

/** One line of a connection. */
export interface Frame {
  readonly topic: string
  /** Random: identifies one publisher. */
  readonly sender: string
  /** Rises with each message of this sender. */
  readonly number: number
  readonly message: Message
}

/** @returns undefined if it is not a message, or too long */
export function encodeFrame({ topic, sender, number, message }: Frame): string | undefined {
  if (!isMessage(message)) return undefined
  const [said, about] = [JSON.stringify(message), JSON.stringify(topic)]
  if (Buffer.byteLength(said) + Buffer.byteLength(about) > maxMessage) return undefined
  return `[${about},${JSON.stringify(sender)},${number},${said}]\n`
}

/**
 * Assembles lines from pieces.
 * @returns a function that takes the next piece, and returns false once the data cannot have come from a channel
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
