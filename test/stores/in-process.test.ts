import { describe, expect, test } from 'vitest'
import { inProcessBeacon } from '../../src/beacons/in-process.ts'
import { inProcessChannel } from '../../src/channels/in-process.ts'

const never = new AbortController().signal
const settled = (promise: Promise<unknown>): Promise<boolean> =>
  Promise.race([promise.then(() => true), new Promise<boolean>((resolve) => setTimeout(resolve, 5, false))])

describe('an in-process beacon', () => {
  test('notifies its watchers of a death, and not the owner', async () => {
    const beacon = inProcessBeacon()
    const { address, lost } = await beacon.raise('a')
    const watches = [beacon.watch(address, never), beacon.watch(address, never)]
    beacon.kill(address)
    await Promise.all(watches)
    expect(await settled(lost)).toBe(false)
  })

  test('notifies its owner when it is taken away', async () => {
    const beacon = inProcessBeacon()
    const { address, lost } = await beacon.raise('a')
    beacon.lose(address)
    await lost
    await beacon.watch(address, never)
  })

  test('remains a proof of death for as long as it is asked after it went out', async () => {
    const beacon = inProcessBeacon()
    const first = await beacon.raise('a')
    const second = await beacon.raise('b')
    first.lower()
    first.lower()
    await beacon.watch(first.address, never)
    expect(await settled(beacon.watch(second.address, never))).toBe(false)
  })

  test('proves nothing about unknown addresses', async () => {
    const beacon = inProcessBeacon()
    const { address } = await inProcessBeacon().raise('a')
    for (const strange of [address, '', 'x', `${(await beacon.raise('b')).address}0`]) {
      expect(await settled(beacon.watch(strange, never))).toBe(false)
    }
  })

  test('stops being watched when the signal aborts', async () => {
    const beacon = inProcessBeacon()
    const { address } = await beacon.raise('a')
    const stop = new AbortController()
    const watch = beacon.watch(address, stop.signal)
    stop.abort(new Error('enough'))
    await expect(watch).rejects.toThrow('enough')
    await expect(beacon.watch(address, stop.signal)).rejects.toThrow('enough')
  })
})

describe('an in-process channel', () => {
  test('calls its listeners after publish, never within it', async () => {
    const channel = inProcessChannel()
    const heard: unknown[] = []
    channel.subscribe('t', ({ n }) => heard.push(n))
    channel.publish('t', { n: 1 })
    expect(heard).toEqual([])
    await Promise.resolve()
    expect(heard).toEqual([1])
  })

  test('does not let a listener change a message for others', async () => {
    const channel = inProcessChannel()
    const heard: unknown[] = []
    for (let listener = 0; listener < 2; listener++) {
      channel.subscribe('t', (message) => {
        heard.push(message.n)
        Object.assign(message, { n: 'changed' })
      })
    }
    channel.publish('t', { n: 1 })
    await Promise.resolve()
    await Promise.resolve()
    expect(heard).toEqual([1, 1])
  })

  test('sends nothing more to a listener that unsubscribed, not even messages already on their way', async () => {
    const channel = inProcessChannel()
    const heard: unknown[] = []
    const listener = ({ n }: { readonly n?: unknown }) => heard.push(n)
    const stop = channel.subscribe('t', listener)
    channel.subscribe('t', listener)
    channel.publish('t', { n: 1 })
    stop()
    stop()
    await Promise.resolve()
    await Promise.resolve()
    expect(heard).toEqual([1])
  })
})
