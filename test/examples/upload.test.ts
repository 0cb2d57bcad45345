import { createLocks } from 'storelock'
import { memoryStore } from 'storelock/stores/memory'
import { expect, test } from 'vitest'
import { type Uploads, upload } from './upload.ts'

function shelf(): Uploads & { text(id: string): string } {
  const kept = new Map<string, number[]>()
  const bytes = (id: string): number[] => kept.get(id) ?? []
  return {
    size: (id) => bytes(id).length,
    append: (id, more) => kept.set(id, [...bytes(id), ...more]),
    text: (id) => String.fromCharCode(...bytes(id)),
  }
}

const whole = 'what the client has to send'
const rest = (from: number): Uint8Array => new TextEncoder().encode(whole.slice(from))

test('T3: a second request for an upload makes the first one stop, keep its bytes and release the lock', async () => {
  const store = memoryStore()
  // Two servers behind one load balancer.
  const [one, two] = [createLocks({ store }), createLocks({ store })]
  const uploads = shelf()
  const hanging = upload(one, uploads, '7', async function* (from) {
    yield rest(from).slice(0, 10)
    // The connection broke, and the server has not noticed.
    await new Promise(() => {})
  })
  while (uploads.size('7') < 10) await new Promise(setImmediate)
  const starts: number[] = []
  const resumed = upload(two, uploads, '7', async function* (from) {
    starts.push(from)
    yield rest(from)
  })
  expect(await hanging).toBe(10)
  expect(await resumed).toBe(whole.length)
  expect([starts, uploads.text('7')]).toEqual([[10], whole])
  await Promise.all([one.close(), two.close()])
})
