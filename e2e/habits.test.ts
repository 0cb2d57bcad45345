import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { describeEachEngine, eachQuiet } from './engines/each.ts'

// Faults that Safari is known to cause in IndexedDB after a sleep, in the background or by a bug, simulated in real pages of each engine.

/** What goes wrong with the connections that a page has open or tries to open. */
type Fault =
  | 'answers nothing'
  | 'loses its server'
  | 'loses its server, and opens no more'
  | 'undoes a transaction'
  | 'undoes every transaction'
  | 'does not open'

/** How each call ended during the fault, and how a call on the same locks ended after it. */
interface Fates {
  readonly during: Record<string, string>
  readonly after: Record<string, string>
}

/** Makes each call during the fault, on locks of its own. Runs in the page. */
async function suffer(fault: Fault): Promise<Fates> {
  const { createLocks, indexedDBStore } = storelock
  const fateOf = (promise: Promise<unknown>, atMost = 20_000): Promise<string> =>
    new Promise((resolve) => {
      setTimeout(() => resolve('hangs'), atMost)
      promise.then(
        () => resolve('done'),
        ({ code, name }) => resolve(code ?? name),
      )
    })

  const { transaction } = IDBDatabase.prototype
  const { open } = IDBFactory.prototype
  /** A transaction that never answers its requests and never ends. */
  const hung = (db: IDBDatabase, scope: string | Iterable<string>, mode: IDBTransactionMode = 'readonly'): IDBTransaction => {
    const silent = (): EventTarget => new Proxy(new EventTarget(), { get: (target, name) => Reflect.get(target, name) ?? silent })
    const names = typeof scope === 'string' ? [scope] : [...scope]
    const objectStoreNames = Object.assign(names, { contains: (name: string) => names.includes(name) })
    return Object.assign(new EventTarget(), { db, mode, objectStoreNames, objectStore: silent, abort() {}, commit() {} }) as never
  }
  const used = new Set<IDBDatabase>()
  const undone = new Set<IDBDatabase>()
  let broken = new Set<IDBDatabase>()
  let ill = false
  const answersNot = new Set<Fault>(['loses its server, and opens no more', 'does not open'])
  IDBFactory.prototype.open = function (...given) {
    return ill && answersNot.has(fault) ? (new EventTarget() as IDBOpenDBRequest) : open.apply(this, given)
  }
  IDBDatabase.prototype.transaction = function (...given) {
    used.add(this)
    if (broken.has(this) && fault === 'answers nothing') return hung(this, given[0], given[1])
    if (broken.has(this)) throw new DOMException('Connection to Indexed Database server lost. Refresh the page to try again', 'UnknownError')
    const tx = transaction.apply(this, given)
    if (ill && (fault === 'undoes every transaction' || (fault === 'undoes a transaction' && !undone.has(this)))) {
      undone.add(this)
      // Aborts it with a request under way, as when a page is hidden in the middle of a transaction.
      const { objectStore } = tx
      tx.objectStore = (name) => {
        queueMicrotask(() => {
          try {
            tx.abort()
          } catch {
            // The transaction has ended already.
          }
        })
        Reflect.deleteProperty(tx, 'objectStore')
        return objectStore.call(tx, name)
      }
    }
    return tx
  }

  const subjects = ['request', 'acquire', 'tryAcquire', 'release', 'query', 'transaction', 'close'].map((call) => {
    const store = indexedDBStore(`${call} while it ${fault}`)
    return { call, store, locks: createLocks({ store, duration: 60_000, onWarning() {} }) }
  })
  const held = new Map<string, Awaited<ReturnType<(typeof subjects)[number]['locks']['acquire']>>>()
  if (fault !== 'does not open') for (const { call, locks } of subjects) held.set(call, await locks.acquire('held'))
  ill = true
  if (fault.startsWith('loses') || fault === 'answers nothing') broken = new Set(used)
  const { transaction: fenced, ...calls }: Record<string, (subject: (typeof subjects)[number]) => Promise<unknown>> = {
    request: ({ locks }) => locks.request('k', () => {}),
    acquire: ({ locks }) => locks.acquire('k'),
    tryAcquire: ({ locks }) => locks.tryAcquire('k'),
    release: async ({ call }) => held.get(call)?.release(),
    query: ({ locks }) => locks.query(),
    close: ({ locks }) => locks.close(),
    transaction: async ({ call, store }) => {
      const lock = held.get(call)
      if (lock) await store.transaction(lock, [], () => {})
    },
  }
  const during: Record<string, string> = {}
  const after: Record<string, string> = {}
  const suffered = subjects.map(async (subject) => {
    const call = subject.call === 'transaction' ? fenced : calls[subject.call]
    // A release that fails is tried again with the next beats.
    during[subject.call] = await fateOf((call as NonNullable<typeof call>)(subject), subject.call === 'release' ? 45_000 : undefined)
  })
  await Promise.all(suffered.filter((_, index) => subjects[index]?.call !== 'release'))
  ill = false
  await Promise.all(suffered)
  const healed = subjects.map(async ({ call, store, locks }) => {
    const use = async ({ acquire }: typeof locks): Promise<void> => {
      // The first call may still wait for an answer to a question from the time of the fault.
      const lock = await acquire('after').catch(() => acquire('after'))
      await lock.release()
    }
    after[call] = await fateOf(use(call === 'close' ? createLocks({ store }) : locks))
  })
  await Promise.all(healed)
  return { during, after }
}

const faults: readonly Fault[] = [
  'answers nothing',
  'loses its server',
  'loses its server, and opens no more',
  'undoes a transaction',
  'undoes every transaction',
  'does not open',
]

describeEachEngine((engine) => {
  eachQuiet(engine)

  describe('where IndexedDB', () => {
    const fates = new Map<Fault, Promise<Fates>>()
    beforeAll(async () => {
      // All faults at once, each in its own page and databases, since they mostly wait.
      for (const fault of faults) {
        const page = await engine().open(engine().page)
        const suffered = page.evaluate(suffer, fault)
        suffered.catch(() => {})
        fates.set(fault, suffered)
      }
    })
    afterAll(() => engine().reset())

    test.each(faults)(
      '%s, each call settles, and the first or second call after its end works, without a reload',
      { timeout: 60_000 },
      async (fault) => {
        const { during, after } = (await fates.get(fault)) as Fates
        expect(Object.entries(during).filter(([, fate]) => !['done', 'store'].includes(fate))).toEqual([])
        // The library does not repeat an app's own transaction.
        if (fault === 'undoes a transaction') expect(Object.entries(during).filter(([, fate]) => fate !== 'done')).toEqual([['transaction', 'store']])
        expect(new Set(Object.values(after))).toEqual(new Set(['done']))
      },
    )
  })
})
