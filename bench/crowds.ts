import { setTimeout as sleep } from 'node:timers/promises'
import { createLocks, type Locks, type Store } from 'storelock'
import { etcdStore } from 'storelock/stores/etcd'
import { postgresStore } from 'storelock/stores/postgres'
import { redisStore } from 'storelock/stores/redis'
import { sqliteStore } from 'storelock/stores/sqlite'
import { options } from './peers/ours.ts'
import { now, type Other, type Role, start } from './processes.ts'

/** The number of processes that the sessions of a crowd run in. */
const processes = 3

export interface Meeting {
  /** The locks of this process, which only starts the hand-offs. */
  readonly locks: Locks
  readonly crowds: readonly Other[]
}

/** A store that several processes share. */
export interface Where {
  readonly kind: keyof typeof kinds
  /** A file's path, or a server's URL. */
  readonly at: string
}

const kinds = {
  sqlite: (at: string): Store => sqliteStore(at),
  postgres: (at: string): Store => postgresStore(at),
  redis: (at: string): Store => redisStore(at),
  etcd: (at: string): Store => etcdStore(at),
}

/** Starts a few processes that together have at least one session more than `sessions`. */
export async function inCrowds<T>(where: Where, sessions: number, use: (meeting: Meeting) => Promise<T>): Promise<T> {
  const store = kinds[where.kind](where.at)
  const locks = createLocks({ store, ...options })
  const crowds: Other[] = []
  for (let i = 0; i < processes; i++) crowds.push(await start('crowd', { ...where, sessions: Math.ceil((sessions + 1) / processes) }))
  const result = await use({ locks, crowds })
  for (const crowd of crowds) await crowd.end()
  await locks.close()
  await store.close()
  return result
}

/** Makes sessions of all processes, in turn, request the lock that this process holds, `turns` times each. */
export async function gather({ crowds, locks }: Meeting, sessions: number, turns: number): Promise<void> {
  for (let i = 0; i < sessions; i++) {
    const crowd = crowds[i % processes] as Other
    crowd.say('ask', { session: Math.floor(i / processes), turns } satisfies Asking)
    await crowd.hear('asked')
  }
  // Waits, since a session that requests for the first time has to be opened first.
  while ((await locks.query('job')).pending.length < sessions) await sleep(1)
}

/** Waits until all turns are over. @returns them */
export async function collect({ crowds }: Meeting): Promise<Turn[]> {
  for (const crowd of crowds) crowd.say('collect')
  const taken = await Promise.all(crowds.map((crowd) => crowd.hear<Turn[]>('turns')))
  return taken.flatMap((turns, process) => turns.map((turn) => ({ ...turn, process })))
}

/** The times of hand-offs from one process to another while `waiting` sessions wait, in µs. @param handoffs about how many */
export async function handOn(meeting: Meeting, waiting: number, handoffs: number): Promise<number[]> {
  const sessions = waiting + 1
  const lock = await meeting.locks.acquire('job')
  await gather(meeting, sessions, 2 + Math.ceil(handoffs / sessions))
  await lock.release()
  const turns = (await collect(meeting)).sort((a, b) => a.token - b.token)
  // In the first turn of each session others may still be arriving, and in the last turn some have left.
  const full = turns.slice(sessions, -sessions)
  return full.slice(1).flatMap((turn, index) => {
    const before = full[index] as Turn
    return turn.process === before.process ? [] : [turn.got - before.released]
  })
}

interface Asking {
  readonly session: number
  readonly turns: number
}

/** When the lock was granted and released, in µs. */
interface Turn {
  readonly token: number
  readonly got: number
  readonly released: number
  readonly process?: number
}

interface CrowdPlace extends Where {
  readonly sessions: number
}

/** A process with sessions that request the lock when told to. */
export const crowd: Role<CrowdPlace> = async ({ kind, at, sessions }, starter) => {
  const members = Array.from({ length: sessions }, () => {
    const store = kinds[kind](at)
    return { store, locks: createLocks({ store, ...options }) }
  })
  const asking: Promise<Turn[]>[] = []
  starter.on<Asking>('ask', ({ session, turns }) => {
    asking.push(takeTurns((members[session] as (typeof members)[0]).locks, turns))
    starter.say('asked')
  })
  starter.on('collect', async () => starter.say('turns', (await Promise.all(asking.splice(0))).flat()))
  return async () => {
    for (const { locks, store } of members) {
      await locks.close()
      await store.close()
    }
  }
}

async function takeTurns(locks: Locks, turns: number): Promise<Turn[]> {
  const taken: Turn[] = []
  for (let turn = 0; turn < turns; turn++) {
    const lock = await locks.acquire('job')
    const got = now()
    await sleep(1)
    const released = now()
    taken.push({ token: lock.token, got, released })
    // Not awaited, so that the next request is queued as early as possible.
    lock.release()
  }
  return taken
}
