import { setTimeout as sleep } from 'node:timers/promises'
import { createLocks, type Locks, type Store } from 'storelock'
import { etcdStore } from 'storelock/stores/etcd'
import { postgresStore } from 'storelock/stores/postgres'
import { redisStore } from 'storelock/stores/redis'
import { sqliteStore } from 'storelock/stores/sqlite'
import { options } from './peers/ours.ts'
import { now, type Other, type Role, start } from './processes.ts'

/** How many processes the sessions of a crowd are in. */
const processes = 3

export interface Meeting {
  /** Of this process, which only begins. */
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

/** Lends a few processes that have so many sessions together, and one more. */
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

/** Has sessions ask for the lock that this process holds, in turn one of each process, each to have it so many times. */
export async function gather({ crowds, locks }: Meeting, sessions: number, turns: number): Promise<void> {
  for (let i = 0; i < sessions; i++) {
    const crowd = crowds[i % processes] as Other
    crowd.say('ask', { session: Math.floor(i / processes), turns } satisfies Asking)
    await crowd.hear('asked')
  }
  // Whoever asks for the first time opens its session before.
  while ((await locks.query('job')).pending.length < sessions) await sleep(1)
}

/** All turns that were taken since, when all are over. */
export async function collect({ crowds }: Meeting): Promise<Turn[]> {
  for (const crowd of crowds) crowd.say('collect')
  const taken = await Promise.all(crowds.map((crowd) => crowd.hear<Turn[]>('turns')))
  return taken.flatMap((turns, process) => turns.map((turn) => ({ ...turn, process })))
}

/** Hand-offs from one process to another while so many sessions wait, in µs. @param handoffs about how many */
export async function handOn(meeting: Meeting, waiting: number, handoffs: number): Promise<number[]> {
  const sessions = waiting + 1
  const lock = await meeting.locks.acquire('job')
  await gather(meeting, sessions, 2 + Math.ceil(handoffs / sessions))
  await lock.release()
  const turns = (await collect(meeting)).sort((a, b) => a.token - b.token)
  // In the first turn of each they are still coming, in the last one leaving.
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

/** When the lock was had, and let go of, in µs. */
interface Turn {
  readonly token: number
  readonly got: number
  readonly released: number
  readonly process?: number
}

interface CrowdPlace extends Where {
  readonly sessions: number
}

/** A process with sessions that ask when they are told to. */
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
    // Without waiting for the release, so that the next request is in the queue as soon as it can be.
    lock.release()
  }
  return taken
}
