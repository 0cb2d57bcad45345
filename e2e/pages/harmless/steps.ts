import { createLocks, type HeldLock, type Store } from 'storelock'
import { indexedDBStore, upgradeIndexedDB } from 'storelock/stores/indexeddb'

// The steps that tests run in an otherwise empty page. They are bundled with the library, as an app would bundle it.

/** How a call ended: `done`, or the error and whether it is or was caused by a SecurityError. */
export type Answer = 'done' | { readonly code: unknown; readonly message: string; readonly security: boolean }

/** The page's origin, `null` if it is opaque. */
export const originOf = (): string => origin

/** Uses locks that are lost, cancelled, refused and closed, and stores that fail. @returns how the calls ended */
export async function live(): Promise<string[]> {
  const end = (promise: Promise<unknown>): Promise<string> =>
    promise.then(
      () => 'done',
      (error) => error.code ?? error.name,
    )
  const store = indexedDBStore('life')
  const one = createLocks({ store, duration: 500 })
  const two = createLocks({ store, duration: 500 })
  const ends: string[] = []

  const lost = ({ signal }: HeldLock): Promise<string> =>
    new Promise((resolve) => {
      signal.onabort = () => resolve(signal.reason.code)
      if (signal.aborted) resolve(signal.reason.code)
    })

  const lock = await one.acquire('k')
  const thief = await two.acquire('k', { steal: true })
  ends.push(await lost(lock))
  const stop = new AbortController()
  const wait = one.acquire('k', { signal: stop.signal }).catch((error) => Promise.reject({ code: error.name }))
  stop.abort()
  ends.push(await end(wait), await end(one.acquire('k', { timeout: 1 })))
  const waits = [end(one.acquire('k')), end(one.request('k', () => {}))]
  await one.close()
  ends.push(...(await Promise.all(waits)))

  let broken = false
  const unlessBroken = <T>(work: () => Promise<T>): Promise<T> => (broken ? Promise.reject(new Error('no disk')) : work())
  const breakable = {
    ...store,
    apply: (commands) => unlessBroken(() => store.apply(commands)),
    read: (key) => unlessBroken(() => store.read(key)),
  } satisfies Store
  const three = createLocks({ store: breakable, duration: 500, onWarning() {} })
  const held = await three.acquire('other')
  broken = true
  ends.push(await lost(held), await end(three.acquire('k')), await end(three.query('k')))
  await three.close()
  await thief.release()
  await two.close()
  await store.close()
  ends.push(await end(one.close()))
  return ends
}

/** Makes each call once. @returns how each ended. A call that throws synchronously throws here. */
export async function callAll(): Promise<Record<string, Answer>> {
  const store = indexedDBStore('calls')
  const locks = createLocks({ store, onWarning() {} })
  const holder = { name: 'k', key: 'k', session: 's', token: 1, assertHeld() {} }
  const release = async (lock: HeldLock | null): Promise<void> => lock?.release()
  const calls: Record<string, () => Promise<unknown>> = {
    createLocks: async () => locks,
    acquire: () => locks.acquire('k').then(release),
    tryAcquire: () => locks.tryAcquire('k').then(release),
    request: () => locks.request('k', () => {}),
    query: () => locks.query(),
    whenFree: () => locks.whenFree('k'),
    expire: () => locks.expire('k'),
    revoke: () => locks.revoke('k'),
    pin: () => locks.pin('k', 'entity'),
    unpin: () => locks.unpin('k', 'entity'),
    reentrant: () =>
      locks
        .reentrant('k')
        .acquire()
        .then((guard) => guard.release()),
    transaction: () => store.transaction(holder, () => {}),
    close: () => locks.close(),
  }
  const answers: Record<string, Answer> = {}
  for (const [name, call] of Object.entries(calls)) {
    answers[name] = await call().then(
      () => 'done' as const,
      ({ name, code, message, cause }) => ({ code, message, security: [name, cause?.name].includes('SecurityError') }),
    )
  }
  return answers
}

/** Makes, uses and closes `count` locks at once. @returns whether the database could be deleted right after that */
export async function openAndClose(count: number): Promise<'deleted' | 'blocked'> {
  const use = async (_: unknown, number: number): Promise<void> => {
    const store = indexedDBStore('closed')
    const locks = createLocks({ store })
    await locks.request('k', () => {})
    await locks.acquire(`kept ${number}`)
    const wait = locks.acquire(`kept ${number}`).catch(() => {})
    await locks.close()
    await wait
    await store.close()
  }
  await Promise.all(Array.from({ length: count }, use))
  return new Promise((resolve) => {
    const request = indexedDB.deleteDatabase('closed')
    request.onsuccess = () => resolve('deleted')
    request.onblocked = () => resolve('blocked')
  })
}

/** Takes a lock and keeps it. @returns whether the page got it */
export async function take(): Promise<boolean> {
  return (await createLocks({ store: indexedDBStore('taken') }).tryAcquire('k')) !== null
}

/** Holds a lock and also waits for one. */
export async function holdAndWait(): Promise<void> {
  const [one, two] = [0, 1].map(() => createLocks({ store: indexedDBStore('left') }))
  await one?.acquire('k')
  two?.request('k', () => {})
  while ((await one?.query('k'))?.pending.length !== 1);
}

/**
 * Takes a lock in the page's own database `turns` times, in turn with all other pages that do so.
 * @returns what the page heard meanwhile: events on its database and lines on the console
 */
export async function shareDatabase(turns: number): Promise<string[]> {
  const heard: string[] = []
  const db = await new Promise<IDBDatabase>((resolve, reject) => {
    const opening = indexedDB.open('shared', 1)
    opening.onupgradeneeded = () => upgradeIndexedDB(opening.result)
    opening.onsuccess = () => resolve(opening.result)
    opening.onerror = () => reject(opening.error)
  })
  for (const type of ['abort', 'error', 'complete', 'success', 'close', 'versionchange']) db.addEventListener(type, () => heard.push(type))
  // Nothing goes wrong here, so not even a capturing listener should get an event.
  for (const type of ['abort', 'error']) db.addEventListener(type, () => heard.push(`${type}, captured`), true)
  for (const level of ['log', 'info', 'warn', 'error', 'debug'] as const) {
    const plain = console[level]
    console[level] = (...words) => {
      heard.push(`${level}: ${words.join(' ')}`)
      plain(...words)
    }
  }
  const store = indexedDBStore(db)
  const locks = createLocks({ store })
  for (let turn = 0; turn < turns; turn++) await locks.request('k', (lock) => store.transaction(lock, [], () => {}))
  await locks.close()
  await store.close()
  db.close()
  return heard
}
