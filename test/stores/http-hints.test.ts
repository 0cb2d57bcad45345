import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { createLocks, type HeldLock, type Locks, type LockWarning } from 'storelock'
import { serve } from 'storelock/server'
import { type HttpStore, httpStore } from 'storelock/stores/http'
import { type MemoryStore, memoryStore } from 'storelock/stores/memory'
import { afterEach, describe, expect, test } from 'vitest'

const endings: (() => unknown)[] = []

afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end()
})

/** A lease longer than any test, and looks as rare. A session that wakes in time was woken by a hint, or by the stream that came back. */
const patient = { duration: 600_000, maxBackoff: 600_000 }

/** A relay to a server that can be cut. */
async function cable(url: string) {
  const { port, hostname } = new URL(url)
  const open = new Set<Socket>()
  let isCut = false
  const relay = createServer((socket) => {
    const next = connect(Number(port), hostname)
    for (const [one, other] of [
      [socket, next],
      [next, socket],
    ] as const) {
      open.add(one)
      one
        .on('error', () => {})
        .on('close', () => {
          open.delete(one)
          other.destroy()
        })
      one.pipe(other)
    }
    if (isCut) socket.destroy()
  }).listen(0, '127.0.0.1')
  await once(relay, 'listening')
  const cut = (): void => {
    isCut = true
    for (const socket of open) socket.destroy()
  }
  endings.push(() => {
    cut()
    relay.close()
  })
  return {
    url: `http://127.0.0.1:${(relay.address() as AddressInfo).port}`,
    cut,
    mend() {
      isCut = false
    },
  }
}

/** A server, a holder that is connected directly, and another client behind a cable that can be cut. */
async function placed() {
  const records = memoryStore()
  const server = await serve(records)
  endings.push(() => server.close())
  const line = await cable(server.url)
  const warnings: string[] = []
  const client = (url: string, onWarning: (warning: LockWarning) => void): { store: HttpStore; locks: Locks } => {
    const store = httpStore(url)
    const locks = createLocks({ store, ...patient, onWarning })
    endings.push(
      () => store.close(),
      () => locks.close(),
    )
    return { store, locks }
  }
  const holder = client(server.url, () => {})
  const other = client(line.url, ({ type, error }) => warnings.push(`${type}: ${error.message}`))
  /** Resolves when hints are gone, or back. */
  const hints = (state: 'gone' | 'back'): Promise<void> =>
    new Promise((resolve) => {
      other.store.onDegraded?.((why) => (why === undefined) === (state === 'back') && resolve())
    })
  const cut = async (): Promise<void> => {
    const gone = hints('gone')
    line.cut()
    await gone
  }
  const mend = async (): Promise<void> => {
    const back = hints('back')
    line.mend()
    await back
  }
  return { records, line, cut, mend, holder: holder.locks, other: other.locks, warnings }
}

const queued = async (locks: Locks): Promise<void> => {
  while (!(await locks.query('k')).pending.length);
}

/** Resolves when somebody asks the holder of a lock to say when it is free. */
const watched = (records: MemoryStore, lock: HeldLock): Promise<void> =>
  new Promise((resolve) => {
    records.channel.subscribe(lock.session, ({ watch }) => watch !== undefined && resolve())
  })

/** How many streams a server has. */
const streams = async (url: string): Promise<string | undefined> =>
  /^storelock_streams (\d+)/m.exec(await (await fetch(`${url}/metrics`)).text())?.[1]

describe('an event stream that breaks and comes back', () => {
  test('causes one warning each time it breaks, and carries hints again when it is back', async () => {
    const { cut, mend, holder, other, warnings } = await placed()
    for (let round = 1; round <= 2; round++) {
      const lock = await holder.acquire('k')
      const wait = other.acquire('k')
      await queued(holder)
      await cut()
      expect(warnings).toEqual(Array(round).fill(expect.stringMatching(/^degraded: no hints for now/)))
      await mend()
      await lock.release()
      await (await wait).release()
    }
  })

  test('makes a waiter notice a release that happened meanwhile', async () => {
    const { line, cut, holder, other } = await placed()
    const lock = await holder.acquire('k')
    const wait = other.acquire('k')
    await queued(holder)
    await cut()
    await lock.release()
    line.mend()
    expect((await wait).isHeld()).toBe(true)
  })

  test('makes `whenFree` notice a release that happened meanwhile', async () => {
    const { records, line, cut, holder, other } = await placed()
    const lock = await holder.acquire('k')
    const asked = watched(records, lock)
    const free = other.whenFree('k')
    await asked
    await cut()
    await lock.release()
    line.mend()
    await free
  })

  test('makes `whenFree` notice a release that a restarted server could not tell, since it did not know the topics yet', async () => {
    const store = memoryStore()
    const options = { secret: 'a secret of sixteen bytes or more', port: 0 }
    const first = await serve(store, options)
    let posts = Promise.resolve()
    const slow: typeof fetch = async (input, init) => {
      if (init?.method === 'POST') await posts
      return await fetch(input, init)
    }
    const remote = httpStore(first.url, { fetch: slow })
    const [holder, other] = [createLocks({ store, ...patient }), createLocks({ store: remote, ...patient })]
    endings.push(
      () => remote.close(),
      () => Promise.all([holder.close(), other.close()]),
    )
    const lock = await holder.acquire('k')
    const asked = watched(store, lock)
    const free = other.whenFree('k')
    await asked
    let goOn = (): void => {}
    posts = new Promise((resolve) => {
      goOn = resolve
    })
    await first.close()
    const second = await serve(store, { ...options, port: Number(new URL(first.url).port) })
    endings.unshift(() => second.close())
    // A connection to the first server may break only now.
    while ((await streams(second.url).catch(() => undefined)) !== '1');
    await lock.release()
    goOn()
    await free
  })

  test('notifies a holder of later release requests', async () => {
    const { cut, mend, holder, other } = await placed()
    let heard = (_ask: unknown): void => {}
    const asked = new Promise<unknown>((resolve) => {
      heard = resolve
    })
    const lock: HeldLock = await other.acquire('k', { onReleaseRequested: heard })
    await cut()
    await mend()
    const wait = holder.acquire('k', { ask: 'please' })
    expect(await asked).toBe('please')
    await lock.release()
    await wait
  })
})

describe('an event stream', () => {
  test('ends with the last `Locks` that use the store, and carries hints again for the next', async () => {
    const server = await serve(memoryStore())
    endings.push(() => server.close())
    const become = async (count: string): Promise<void> => {
      while ((await streams(server.url)) !== count);
    }
    const [store, holder] = [httpStore(server.url), createLocks({ store: httpStore(server.url), ...patient })]
    endings.push(
      () => store.close(),
      () => holder.close(),
    )
    for (let turn = 0; turn < 2; turn++) {
      const all = [createLocks({ store, ...patient }), createLocks({ store, ...patient })]
      for (const locks of all) await (await locks.acquire('k')).release()
      const lock = await holder.acquire('k')
      await become('2')
      const waits = all.map((locks) => locks.acquire('k'))
      while ((await holder.query('k')).pending.length !== 2);
      await lock.release()
      const served = all.map(async (locks, index) => {
        await (await waits[index])?.release()
        await locks.close()
      })
      await Promise.all(served)
      await become('1')
    }
  })
})
