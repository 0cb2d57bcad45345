import type { Message } from '../store.ts'

/** Whether a value is a message: callers may pass anything to `publish`, and other programs may send anything to the same place. */
export const isMessage = (value: unknown): value is Message =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  Object.values(value).every((part) => part === null || ['string', 'number', 'boolean'].includes(typeof part))

/** A channel delivers this empty message when it begins to hear a topic: other messages may have been missed. */
export const missed: Message = {}
