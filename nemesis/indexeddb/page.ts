import { type DBSchema, type IDBPTransaction, openDB } from 'idb'
import { createLocks } from 'storelock'
import type { Fenced } from 'storelock/protocol'
import { indexedDBStore, upgradeIndexedDB } from 'storelock/stores/indexeddb'
import type { Final } from '../check.ts'
import type { Note, Write } from '../history.ts'
import { seeded } from '../random.ts'
import { type Order, Orders, type Point, type Strike, work } from '../worker.ts'

/** What a tab is started with. Times in ms. */
export interface Start {
  readonly name: string
  readonly fenced: boolean
  readonly duration: number
  readonly maxBackoff: number
  readonly seed: number
}

/** What a tab tells its runner: a note to keep, or that it met an order. One that is to die waits there for its end. */
export type News = { readonly name: string } & ({ readonly note: Note } | { readonly met: Order['type'] })

/** What the runner calls in a tab. A tab that was not started only looks on. */
interface Page {
  start(start: Start): void
  obey(order: Order): void
  /** How many writes were ever made. */
  written(): Promise<number>
  final(): Promise<Final>
}

declare global {
  var nemesis: Page
  var tellNemesis: (news: News) => Promise<void>
}

interface Schema extends DBSchema {
  rows: { key: string; value: Write }
  log: { key: number; value: Write }
  ballast: { key: number; value: string }
}

/** What the locks protect, in the database of the locks. */
const db = await openDB<Schema>('nemesis', 1, {
  upgrade(fresh) {
    upgradeIndexedDB(fresh)
    fresh.createObjectStore('rows')
    fresh.createObjectStore('log', { autoIncrement: true })
    fresh.createObjectStore('ballast')
  },
})
type Transaction = IDBPTransaction<Schema, ('rows' | 'log')[], 'readwrite'>

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

async function strike(point: Point): Promise<void> {
  const order = orders.take(point)
  if (order) meet(order)
  if (order?.type === 'die') await new Promise(() => {})
}

async function put(tx: Transaction, write: Write): Promise<void> {
  const rows = tx.objectStore('rows')
  await Promise.all([rows.put(write, write.key), tx.objectStore('log').add(write)])
  const order = orders.take('before the commit')
  if (order) meet(order)
  // A transaction without requests would commit.
  while (order?.type === 'die') await rows.get(write.key)
}

/** Keeps every object store busy, so that nobody else's transaction begins. */
async function occupy(ms: number): Promise<void> {
  const tx = db.transaction([...db.objectStoreNames], 'readwrite')
  const ballast = tx.objectStore('ballast')
  const until = performance.now() + ms
  while (performance.now() < until) await ballast.put('x'.repeat(1_000_000), 0)
  await ballast.clear()
  await tx.done
}

const trueTime = Date.now.bind(Date)
let shift = 0
Date.now = () => trueTime() + shift

globalThis.nemesis = {
  start({ name, fenced, duration, maxBackoff, seed }) {
    const store = indexedDBStore(db)
    const locks = createLocks({ store, label: name, duration, maxBackoff })
    tell = (met) => void globalThis.tellNemesis({ name, met })
    const ground = {
      locks,
      note: (note: Note) => globalThis.tellNemesis({ name, note }),
      read: (key: string) => db.get('rows', key),
      async write(write: Write, lock: Fenced | undefined) {
        if (lock) return store.transaction(lock, ['rows', 'log'], (tx) => put(tx, write))
        const tx = db.transaction(['rows', 'log'], 'readwrite')
        await Promise.all([put(tx, write), tx.done])
      },
      strike,
    }
    work({ name, fenced, random: seeded(seed) }, ground, end.signal)
      .then(() => locks.close())
      .then(() => tell('finish'))
  },
  obey(order) {
    if (order.type === 'finish') end.abort()
    else if (order.type === 'occupy') occupy(order.ms).then(() => tell('occupy'))
    else if (order.type === 'shift') {
      shift = order.ms
      tell('shift')
    } else orders.give(order)
  },
  written: () => db.count('log'),
  async final() {
    const tx = db.transaction(['rows', 'log'])
    const [rows, log] = await Promise.all([tx.objectStore('rows').getAll(), tx.objectStore('log').getAll()])
    return { rows, log }
  },
}
