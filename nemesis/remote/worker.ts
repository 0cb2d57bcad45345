// A process that works on a server's data under locks of the same server: `worker.js <start, as JSON>`.
import { now } from '../../e2e/processes/orders.ts'
import { beChild } from '../child.ts'
import type { Start } from '../processes.ts'
import { seeded } from '../random.ts'
import { work } from '../worker.ts'
import { type Kind, locksOf, openData } from './data.ts'

export interface RemoteStart extends Start {
  readonly kind: Kind
  /** For etcd, the URLs of all members, with commas between them. */
  readonly url: string
  /** How many replicas must have a change before it is confirmed. */
  readonly replicas?: number | undefined
}

const { start, signal, note, strike } = beChild<RemoteStart>()
const { name, kind, url, replicas, fenced, duration, maxBackoff, seed } = start
const data = openData(kind, url, replicas)
const locks = locksOf(data, { label: name, duration, maxBackoff })
await work(
  { name, fenced, random: seeded(seed) },
  {
    locks,
    now,
    place: (key) => key,
    note,
    read: (lock) => data.read(lock.key),
    write: (write, lock) => data.write(write, lock, () => strike('before the commit')),
    strike,
  },
  signal,
)
await locks.close()
await data.close()
process.exit()
