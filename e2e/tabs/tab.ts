import type { AcquireOptions, HeldLock, LockError, LocksSnapshot, TryOptions } from '../../src/index.ts'
import type { Got, Line, State } from '../processes/orders.ts'

/** The settings of a tab's locks. Times in ms. */
export interface TabStart {
  readonly duration: number
  readonly maxBackoff: number
  readonly linger?: number
  readonly label?: string
  /** The tab never polls: only hints and proofs of death reach it. */
  readonly patient?: boolean
}

/** Events that a tab reports by itself. */
export type TabNews =
  /** The lock's signal aborted, with a reason of this code. */
  | { readonly type: 'aborted'; readonly code: string; readonly at: number }
  | { readonly type: 'warning'; readonly warning: string; readonly code: string }

/** What tests call in a tab, as the global `tab`. It has one lock at a time. */
export interface Tab {
  acquire(name: string, options?: AcquireOptions): Promise<Got>
  tryAcquire(name: string, options?: TryOptions): Promise<Got | null>
  /** @returns the time at which the renewal was sent */
  renew(): Promise<number>
  release(): Promise<number>
  state(): State
  query(name: string): Promise<LocksSnapshot>
  /** The id of the tab's present session. */
  session(): string
  /** Blocks the page for `ms`, and looks at the lock in the first line after that. */
  block(ms: number): Promise<State>
  /** Takes the lock `count` times, and writes {@link Line}s about it to an object store. */
  turns(name: string, count: number): Promise<void>
  /** The lines that the tabs wrote in {@link turns}, in order. */
  ledger(): Promise<Line[]>
  /** Requests the lock `count` times and cancels each wait: all at once, then each as soon as it has begun. @returns the reasons of the rejections */
  callOff(name: string, count: number): Promise<string[]>
  deleteDatabase(): Promise<{ readonly blocked: boolean }>
  /** All events so far. */
  readonly news: readonly TabNews[]
  /** Waits for the first event of a type. */
  told<Type extends TabNews['type']>(type: Type): Promise<Extract<TabNews, { type: Type }>>
}

declare global {
  var tab: Tab
}

/** Gives a page its own locks. Runs in the page, so it uses only its argument and the page's globals. */
export function makeTab({ name: me, duration, maxBackoff, linger, label, patient }: TabStart & { readonly name: string }): void {
  const { createLocks, indexedDBStore, openDB, deleteDB } = globalThis.storelock
  const now = () => performance.timeOrigin + performance.now()
  const news: TabNews[] = []
  let hear = (): void => {}
  const tell = (told: TabNews) => {
    news.push(told)
    hear()
  }

  const store = indexedDBStore('locks')
  /** The number of commands under way. A page that is blocked within a transaction blocks all others. */
  let underWay = 0
  const counting: typeof store = {
    ...store,
    apply(commands) {
      underWay += 1
      return store.apply(commands).finally(() => {
        underWay -= 1
      })
    },
  }
  const patientClock = {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    random: () => Math.random(),
    // Only heartbeats are background timers, so only they fire.
    after(ms: number, run: () => void, background = false) {
      const timer = background ? setTimeout(run, ms) : undefined
      return () => clearTimeout(timer)
    },
  }
  const locks = createLocks({
    store: counting,
    duration,
    maxBackoff,
    ...(label !== undefined && { label }),
    ...(linger !== undefined && { linger }),
    ...(patient && { clock: patientClock }),
    onWarning: ({ type, error }) => tell({ type: 'warning', warning: type, code: error.code }),
  })

  let lock: HeldLock | undefined
  const mine = (): HeldLock => {
    if (!lock) throw new Error('this tab has had no lock yet')
    return lock
  }
  const got = (taken: HeldLock): Got => {
    const at = now()
    lock = taken
    const { token, signal } = taken
    signal.addEventListener('abort', () => tell({ type: 'aborted', code: (signal.reason as LockError).code, at: now() }))
    return { token, at }
  }
  const codeOf = (run: () => void): string | undefined => {
    try {
      run()
    } catch (error) {
      return (error as LockError).code
    }
    return undefined
  }
  const state = (): State => {
    const taken = mine()
    // `isHeld` comes first, so that nothing else can have noticed the loss before it.
    const held = taken.isHeld()
    const { aborted, reason } = taken.signal
    return { held, aborted, thrown: codeOf(() => taken.assertHeld()), reason: (reason as LockError | undefined)?.code }
  }
  const openLedger = () => openDB('ledger', 1, { upgrade: (db) => void db.createObjectStore('lines', { autoIncrement: true }) })

  globalThis.tab = {
    acquire: async (name, options) => got(await locks.acquire(name, options)),
    async tryAcquire(name, options) {
      const taken = await locks.tryAcquire(name, options)
      return taken && got(taken)
    },
    async renew() {
      const sent = now()
      await mine().renew()
      return sent
    },
    async release() {
      await mine().release()
      return now()
    },
    state,
    query: (name) => locks.query(name),
    session: () => locks.session,
    async block(ms) {
      while (underWay) await new Promise((resolve) => setTimeout(resolve))
      const end = now() + ms
      while (now() < end);
      return state()
    },
    async turns(name, count) {
      const db = await openLedger()
      const write = (event: Line['event'], token = 0) => db.add('lines', { event, who: me, token } satisfies Line)
      for (let turn = 0; turn < count; turn++) {
        await write('ask')
        await locks.request(name, async (held) => {
          held.assertHeld()
          await write('enter', held.token)
          held.assertHeld()
          await write('leave', held.token)
        })
      }
      db.close()
    },
    async ledger() {
      const db = await openLedger()
      return (await db.getAll('lines')) as Line[]
    },
    async callOff(name, count) {
      const wait = ({ signal }: AbortController) =>
        locks.acquire(name, { signal }).then(async (lock) => {
          await lock.release()
          return 'acquired'
        }, String)
      const stop = new AbortController()
      const waits = Array.from({ length: count }, () => wait(stop))
      stop.abort('at once')
      for (let waited = 0; waited < count; waited++) {
        const stop = new AbortController()
        waits.push(wait(stop))
        await new Promise((resolve) => setTimeout(resolve))
        stop.abort('under way')
      }
      return Promise.all(waits)
    },
    async deleteDatabase() {
      let blocked = false
      await deleteDB('locks', {
        blocked() {
          blocked = true
        },
      })
      return { blocked }
    },
    news,
    async told<Type extends TabNews['type']>(type: Type) {
      for (;;) {
        const found = news.find((each): each is Extract<TabNews, { type: Type }> => each.type === type)
        if (found) return found
        await new Promise<void>((resolve) => {
          hear = resolve
        })
      }
    },
  }
}
