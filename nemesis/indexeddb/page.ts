import { deleteDB } from 'idb'
import { createLocks } from 'storelock'
import { indexedDBStore } from 'storelock/stores/indexeddb'
import { keyOf, type Note, placeOf, type Write } from '../history.ts'
import { seeded } from '../random.ts'
import { type Ground, type Order, Orders, type Point, type Strike, work } from '../worker.ts'
import { App, databaseName, lifeOf, type Transaction } from './app.ts'

/** The settings of a tab. Times in ms. */
export interface Start {
  readonly name: string
  readonly fenced: boolean
  readonly duration: number
  readonly maxBackoff: number
  readonly seed: number
}

/**
 * A tab's messages to its runner: a note to record, that it has met an order, or that it must be reloaded. A tab that met an order to die then
 * waits until it is killed.
 */
export type News = { readonly name: string } & ({ readonly note: Note } | { readonly met: Order['type'] } | { readonly stuck: true })

/** The contents of the database. */
export interface Sight {
  readonly life: string
  readonly rows: readonly Write[]
  /** The log after the last place that was seen in the same life. */
  readonly log: readonly Write[]
  readonly place: number
}

/** What the runner calls in a tab. A tab that was not started only reads. */
interface Page {
  start(start: Start): void
  obey(order: Order): void
  /** Rejects if the database is deleted meanwhile. */
  look(life: string, place: number): Promise<Sight>
}

declare global {
  var nemesis: Page
  var tellNemesis: (news: News) => Promise<void>
}

let stuck = (): void => {}
const app = new App(() => stuck())
const orders = new Orders()
const end = new AbortController()
let tell: (met: Order['type']) => void = () => {}

function stand(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}

function meet(order: Strike): void {
  if (order.type === 'hang') stand(order.ms)
  tell(order.type)
}

async function strike(point: Point, quiet: () => Promise<void>): Promise<void> {
  const order = orders.take(point)
  if (order) await quiet()
  if (order) meet(order)
  if (order?.type === 'die') await new Promise(() => {})
}

async function put(tx: Transaction, write: Write): Promise<void> {
  const rows = tx.objectStore('rows')
  await Promise.all([rows.put(write, keyOf(write.key)), tx.objectStore('log').add(write)])
  const order = orders.take('before the commit')
  if (order) meet(order)
  // Without new requests, the transaction would commit.
  while (order?.type === 'die') await rows.get(write.key)
}

/** Prevents unhandled rejections. Code that waits for the transaction handles its errors. */
function unheard<Tx extends { readonly done: Promise<void> }>(tx: Tx): Tx {
  tx.done.catch(() => {})
  return tx
}

/** Keeps every object store busy, so that no other transaction can start. */
const occupy = (ms: number): Promise<void> =>
  app.use(async (db) => {
    const tx = unheard(db.transaction([...db.objectStoreNames], 'readwrite'))
    const ballast = tx.objectStore('ballast')
    const until = performance.now() + ms
    while (performance.now() < until) await ballast.put('x'.repeat(1_000_000), 0)
    await ballast.clear()
    await tx.done
  })

/** Carries out orders that do not wait for a write. */
const acts = {
  occupy: ({ ms }: { ms: number }) => occupy(ms),
  async shift({ ms }: { ms: number }) {
    shift = ms
  },
  'log out': () => fetch('/logout'),
  delete: () => deleteDB(databaseName),
  upgrade: () => app.upgrade(),
}

const trueTime = Date.now.bind(Date)
let shift = 0
Date.now = () => trueTime() + shift

globalThis.nemesis = {
  start({ name, fenced, duration, maxBackoff, seed }) {
    const store = indexedDBStore(app.give, { name: databaseName })
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
    // A tab that hangs inside a transaction also keeps other tabs from taking its lock, so no update is lost. The control first waits for its end.
    const quiet = async (): Promise<void> => {
      while (!fenced && underWay) await new Promise((resolve) => setTimeout(resolve))
    }
    const locks = createLocks({ store: counting, label: name, duration, maxBackoff })
    tell = (met) => void globalThis.tellNemesis({ name, met })
    stuck = () => void globalThis.tellNemesis({ name, stuck: true })
    const ground: Ground = {
      locks,
      now: () => performance.timeOrigin + performance.now(),
      place: (key) => placeOf(key, app.given),
      note: (note) => globalThis.tellNemesis({ name, note }),
      read: ({ key }) => app.use((db) => unheard(db.transaction('rows')).store.get(key)),
      async write(write, lock) {
        if (lock) return store.transaction(lock, ['rows', 'log'], (tx) => put(tx, write))
        await app.use((db) => {
          const tx = unheard(db.transaction(['rows', 'log'], 'readwrite'))
          return Promise.all([put(tx, write), tx.done])
        })
      },
      strike: (point) => strike(point, quiet),
    }
    work({ name, fenced, random: seeded(seed) }, ground, end.signal)
      .then(() => locks.close())
      .then(() => tell('finish'))
  },
  obey(order) {
    if (order.type === 'finish') end.abort()
    else if (order.type === 'hang' || order.type === 'die') orders.give(order)
    else {
      const { type } = order
      const act = acts[type] as (order: Order) => Promise<unknown>
      // The order may fail because of another fault.
      act(order).then(
        () => tell(type),
        () => tell(type),
      )
    }
  },
  look: (life, place) =>
    app.use(async (db) => {
      const tx = unheard(db.transaction(['rows', 'log']))
      const after = lifeOf(db) === life ? place : 0
      const range = IDBKeyRange.lowerBound(after, true)
      const log = tx.objectStore('log')
      const [rows, writes, places] = await Promise.all([tx.objectStore('rows').getAll(), log.getAll(range), log.getAllKeys(range)])
      return { life: lifeOf(db), rows, log: writes, place: places.at(-1) ?? after }
    }),
}
