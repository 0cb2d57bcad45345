import { build } from 'esbuild'
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest'
import * as core from '../../src/core.ts'
import { createLocks, type LockError, type Locks, noopLocks } from '../../src/index.ts'
import type { CoreLocks } from '../../src/locks/types.ts'
import { type MemoryStore, memoryStore } from '../../src/stores/memory.ts'

let store: MemoryStore
let locks: CoreLocks
let others: Locks

beforeEach(() => {
  store = memoryStore()
  locks = core.createLocks({ store, duration: 1_000 })
  others = createLocks({ store, duration: 1_000 })
})

afterEach(async () => {
  await locks.close()
  await others.close()
})

describe('storelock/core', () => {
  it('has the most used methods of `Locks`, and the rest as functions', () => {
    const all = Object.keys(others)
    expect(all).toEqual(expect.arrayContaining(['session', 'acquire', 'query', 'reentrant', 'sweep']))
    expect(Object.keys(locks).filter((name) => name in core)).toEqual([])
    expect([...Object.keys(locks), ...Object.keys(core)]).toEqual(expect.arrayContaining(all))
  })

  it('excludes locks of the full surface, in either shape', async () => {
    const lock = await locks.acquire('a')
    expect(await others.tryAcquire('a')).toBeNull()
    await lock.release()
    const token = await others.request('a', ({ token }) => token)
    expect(await locks.request('a', ({ previous }) => previous)).toBe(token)
    expect(await locks.request('a', { ifAvailable: true }, (lock) => lock?.mode)).toBe('exclusive')
  })

  it('has functions that show, free and pin a lock', async () => {
    const lock = await others.acquire('a')
    expect((await core.query(locks, 'a')).held).toMatchObject([{ name: 'a', session: others.session }])
    const free = core.whenFree(locks, 'a')
    await core.pin(locks, 'a', 'me')
    await expect(core.expire(locks, 'a')).rejects.toMatchObject({ code: 'held' })
    await core.unpin(locks, 'a', 'me')
    await core.revoke(locks, 'a', others.session)
    await free
    await expect(lock.renew()).rejects.toMatchObject({ code: 'lost', reason: 'revoked' })
    expect(await core.sweep(locks)).toBe(1)
  })

  it('shares one lease between users of the same name', async () => {
    const job = core.reentrant(locks, 'job')
    expect(core.reentrant(locks, 'job')).toBe(job)
    const [one, two] = [await job.acquire(), await job.acquire()]
    expect(one.token).toBe(two.token)
    await one.release()
    expect(await others.tryAcquire('job')).toBeNull()
    await two.release()
    expect(await others.tryAcquire('job')).not.toBeNull()
  })

  it.each([
    ['name', () => locks.request(7 as never, () => 1)],
    ['callback', () => locks.request('a', {}, undefined as never)],
    ['option', () => locks.acquire('a', { timeout: -1 })],
    ['duration', async () => core.createLocks({ store, duration: 0 })],
  ])('refuses an invalid %s', async (_, call) => {
    await expect(call()).rejects.toThrow(/must be|a number of/)
  })

  it('has functions that take the full surface too, and refuse anything else', async () => {
    expect((await core.query(others)).held).toEqual([])
    for (const wrong of [noopLocks(), {} as Locks]) await expect(core.query(wrong)).rejects.toThrow(TypeError)
    expect(() => core.reentrant(noopLocks(), 'a')).toThrow('what createLocks returned')
  })

  it('rejects with `closed` after close, in every function', async () => {
    await locks.close()
    const calls = [
      () => core.query(locks),
      () => core.whenFree(locks, 'a'),
      () => core.expire(locks, 'a'),
      () => core.revoke(locks, 'a'),
      () => core.pin(locks, 'a', 'me'),
      () => core.unpin(locks, 'a', 'me'),
      () => core.sweep(locks),
      async () => core.reentrant(locks, 'a'),
    ]
    expect(await Promise.all(calls.map((call) => call().then(String, ({ code }: LockError) => code)))).toEqual(calls.map(() => 'closed'))
  })
})

test('a bundle contains only the parts of storelock/core that it imports', async () => {
  const bundle = async (names: string): Promise<string[]> => {
    const { metafile } = await build({
      stdin: { contents: `export { ${names} } from './src/core.ts'`, resolveDir: `${import.meta.dirname}/../..`, loader: 'ts' },
      ...{ bundle: true, format: 'esm', write: false, metafile: true, treeShaking: true },
    })
    const [output] = Object.values(metafile?.outputs ?? {})
    return Object.entries(output?.inputs ?? {}).flatMap(([file, { bytesInOutput }]) => (bytesInOutput ? file : []))
  }
  const own = {
    reentrant: ['src/locks/reentrant.ts', 'src/locks/share.ts'],
    query: ['src/locks/admin.ts'],
    whenFree: ['src/locks/when-free.ts'],
    sweep: ['src/locks/sweep.ts'],
    pageClock: ['src/locks/page-clock.ts', 'src/locks/ticker.ts'],
  }
  const least = await bundle('createLocks')
  expect(least).toContain('src/locks/session.ts')
  for (const [name, files] of Object.entries(own)) {
    expect(least).not.toEqual(expect.arrayContaining([files[0]]))
    expect(await bundle(`createLocks, ${name}`)).toEqual(expect.arrayContaining(files))
  }
  expect(least).not.toContain('src/locks/webidl.ts')
})
