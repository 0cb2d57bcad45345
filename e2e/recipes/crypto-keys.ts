import { nextKey } from './ratchet.ts'

/** The next `count` keys of a room as text, requested one after another. */
export async function keysOf(room: string, count: number): Promise<string[]> {
  const keys: string[] = []
  while (keys.length < count) {
    const { index, key } = await nextKey(room)
    keys.push(`${index} ${[...key].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`)
  }
  return keys
}
