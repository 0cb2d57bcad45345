import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import { processBeacon } from '../../src/beacons/process.ts'
import type { Beacon } from '../../src/store.ts'

const module = fileURLToPath(new URL('../../src/beacons/process.ts', import.meta.url))
const children = new Set<ChildProcess>()

afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
})

/** Starts a process with a raised beacon. */
async function startOwner(): Promise<{ child: ChildProcess; address: string }> {
  const script = `
    const { processBeacon } = await import(${JSON.stringify(module)})
    const { address } = await processBeacon().raise('theirs')
    process.stdout.write(address)
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.add(child)
  const [said] = (await once(child.stdout as NonNullable<typeof child.stdout>, 'data')) as [Buffer]
  return { child, address: said.toString() }
}

const never = new AbortController().signal
const within = (promise: Promise<unknown>, ms: number): Promise<unknown> =>
  Promise.race([promise.then(() => 'proof'), new Promise((resolve) => setTimeout(resolve, ms, 'nothing'))])

describe.runIf(process.platform === 'linux')('a process’s beacon', () => {
  const beacon = processBeacon() as Beacon

  test('proves the death of a killed process to every watcher within milliseconds', async () => {
    const { child, address } = await startOwner()
    const watches = [1, 2, 3].map(() => beacon.watch(address, never))
    expect(await within(Promise.race(watches), 100)).toBe('nothing')
    expect(await beacon.isOut?.(address)).toBe(false)
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(await within(Promise.all(watches), 1_000)).toBe('proof')
    expect(await beacon.isOut?.(address)).toBe(true)
  })

  test('proves nothing about a stopped process', async () => {
    const { child, address } = await startOwner()
    child.kill('SIGSTOP')
    expect(await within(beacon.watch(address, never), 200)).toBe('nothing')
    expect(await beacon.isOut?.(address)).toBe(false)
  })

  test('proves nothing about processes on other machines, whatever their ids', async () => {
    const { address } = await beacon.raise('a')
    const [machine, , start, ...rest] = address.split(':')
    const elsewhere = [machine?.replace(/./g, 'f'), '999999999', start, ...rest].join(':')
    expect(await beacon.isOut?.(elsewhere)).toBe(false)
    expect(await within(beacon.watch(elsewhere, never), 50)).toBe('nothing')
  })

  test('proves a process dead when another process has its id now', async () => {
    const { address } = await beacon.raise('a')
    const [machine, , , ...rest] = address.split(':')
    expect(await beacon.isOut?.([machine, process.ppid, 1, ...rest].join(':'))).toBe(true)
  })

  test('proves nothing about other threads of the same process', async () => {
    const { address, lower } = await beacon.raise('a')
    lower()
    expect(await beacon.isOut?.(address)).toBe(true)
    expect(await beacon.isOut?.(address.replace(/[^:]+$/, 'another'))).toBe(false)
  })

  test('is no longer watched once the watch was aborted', async () => {
    const { address } = await startOwner()
    const stop = new AbortController()
    const watch = beacon.watch(address, stop.signal)
    stop.abort(new Error('enough'))
    await expect(watch).rejects.toThrow('enough')
    await expect(beacon.watch(address, stop.signal)).rejects.toThrow('enough')
  })

  test('proves nothing from an invalid address', async () => {
    for (const address of ['', ':', 'x', 'a:b:c:d', `${(await beacon.raise('a')).address.split(':')[0]}:0:0`, '::::']) {
      expect([address, await beacon.isOut?.(address)]).toEqual([address, false])
    }
  })
})
