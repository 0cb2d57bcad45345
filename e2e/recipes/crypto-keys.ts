import { nextKey } from './ratchet.ts'

/** So many keys of a room, each asked for when the last one is there, as text. */
export async function keysOf(room: string, count: number): Promise<string[]> {
  const keys: string[] = []
  while (keys.length < count) {
    const { index, key } = await nextKey(room)
    keys.push(`${index} ${[...key].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`)
  }
  return keys
}
