import { closeSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createLocks, type Locks } from 'storelock'
import { sqliteStore } from 'storelock/stores/sqlite'
import { figure, type Measure } from '../figure.ts'
import { inFolder } from '../folder.ts'
import { options } from '../peers/ours.ts'
import { now, type Other, type Role, start } from '../processes.ts'
import { median } from '../rounds.ts'

const counts = [2, 4, 8, 16, 32, 64]
const [few, many] = [2, 64]
const processes = 3
/** The first is thrown away: what is measured is compiled code. */
const rounds = 6
/** In a round, for each count. */
const handoffs = 200
/** For how long writes are counted, in ms. */
const watched = 10_000
/** How often a session that holds something beats. */
const beatsPerSecond = 1_000 / (options.duration / 10)

export const measures: Record<string, Measure> = {
  'sqlite.waiters.growth': (progress, draw) =>
    inCrowds(async (place) => {
      const times = new Map(counts.map((count): [number, number[]] => [count, []]))
      for (let round = 0; round < rounds; round++) {
        for (const [index, count] of counts.entries()) {
          const taken = await handOn(place, count)
          if (round) times.get(count)?.push(...taken)
          progress((round + (index + 1) / counts.length) / rounds)
        }
      }
      const at = (count: number): number => median(times.get(count) ?? [])
      const n = Math.min(...[few, many].map((count) => times.get(count)?.length ?? 0))
      draw({ plot: 'waiters', series: 'storelock on SQLite', points: counts.map((count) => [count, at(count)]) })
      return [figure('sqlite.waiters.growth', 'µs', at(many), `with ${few} sessions waiting instead of ${many}`, at(few), n, 1.5)]
    }),

  'sqlite.waiters.writes': (progress) =>
    inCrowds(async (place) => {
      const lock = await place.locks.acquire('job')
      await gather(place, many, 1)
      const [before, begun] = [commits(place.file), now()]
      for (let passed = 0; passed < watched; passed += 500) {
        await sleep(500)
        progress((passed + 500) / watched)
      }
      const perSecond = ((commits(place.file) - before) * 1_000_000) / (now() - begun)
      await lock.release()
      await collect(place)
      const against = `the holder's beats alone, while ${many} sessions wait for ${watched / 1_000} s`
      return [figure('sqlite.waiters.writes', 'commits/s', perSecond, against, beatsPerSecond, 1)]
    }),
}

interface Meeting {
  readonly file: string
  /** Of this process, which only begins. */
  readonly locks: Locks
  readonly crowds: readonly Other[]
}

/** Lends a few processes that have many sessions each. */
const inCrowds = <T>(use: (meeting: Meeting) => Promise<T>): Promise<T> =>
  inFolder(async (folder) => {
    const file = join(folder, 'locks.db')
    const store = sqliteStore(file)
    const locks = createLocks({ store, ...options })
    const crowds: Other[] = []
    for (let i = 0; i < processes; i++) crowds.push(await start('crowd', { file, sessions: Math.ceil((many + 1) / processes) }))
    const result = await use({ file, locks, crowds })
    for (const crowd of crowds) await crowd.end()
    await locks.close()
    await store.close()
    return result
  })

/** Has sessions ask for the lock that this process holds, in turn one of each process, each to have it so many times. */
async function gather({ crowds, locks }: Meeting, sessions: number, turns: number): Promise<void> {
  for (let i = 0; i < sessions; i++) {
    const crowd = crowds[i % processes] as Other
    crowd.say('ask', { session: Math.floor(i / processes), turns } satisfies Asking)
    await crowd.hear('asked')
  }
  // Whoever asks for the first time opens its session before.
  while ((await locks.query('job')).pending.length < sessions) await sleep(1)
}

/** All turns that were taken since, when all are over. */
async function collect({ crowds }: Meeting): Promise<Turn[]> {
  for (const crowd of crowds) crowd.say('collect')
  const taken = await Promise.all(crowds.map((crowd) => crowd.hear<Turn[]>('turns')))
  return taken.flatMap((turns, process) => turns.map((turn) => ({ ...turn, process })))
}

/** Hand-offs from one process to another while so many sessions wait, in µs. */
async function handOn(meeting: Meeting, waiting: number): Promise<number[]> {
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

interface CrowdPlace {
  readonly file: string
  readonly sessions: number
}

/** A process with sessions that ask when they are told to. */
export const crowd: Role<CrowdPlace> = async ({ file, sessions }, starter) => {
  const members = Array.from({ length: sessions }, () => {
    const store = sqliteStore(file)
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

/**
 * How many transactions have been committed to a SQLite file, as its shared memory counts them (`iChange` of the WAL-index header).
 * @see https://sqlite.org/walformat.html
 */
function commits(file: string): number {
  const header = new Uint32Array(3)
  const shm = openSync(`${file}-shm`, 'r')
  readSync(shm, header)
  closeSync(shm)
  return header[2] ?? NaN
}
