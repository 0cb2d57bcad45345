import type { HeldLock } from '../src/locks/types.ts'
import type { Process } from './process.ts'
import { keys, type World } from './world.ts'

/** Measures in a world at peace how soon a waiter gets what another lets go of, and what a dead one leaves. */
export async function probe(world: World): Promise<void> {
  const [holder, waiter] = world.processes
  if (!holder || !waiter || !world.shape.timely) return
  // What died earlier has left requests of its own; whoever asks has to wait them out.
  for (const key of keys) (await take(world, waiter, key, leftBound(world, key)))?.release()
  const key = `after ${Math.round(world.timeline.now)} ms`

  const first = await take(world, holder, key, freeBound(holder))
  if (!first) return
  const woken = watch(world, waiter, key)
  await world.pass(world.chance.next() * 2 * world.shape.duration)
  first.release()
  await expectWithin(world, woken, wakeBound(world, holder, waiter), `${waiter.name} to be woken by the release of ${holder.name}`)
  woken.lock?.release()
  await world.pass(100)

  if (!(await take(world, holder, key, freeBound(holder)))) return
  const heir = watch(world, waiter, key)
  await world.pass(world.chance.next() * 2 * world.shape.duration)
  world.crash(holder)
  await expectWithin(world, heir, crashBound(world, holder, waiter), `${waiter.name} to take over from ${holder.name}, which died`)
  heir.lock?.release()
  await world.pass(100)
}

/** How long what the dead have left in a record may keep others waiting, in ms: each grant to them lapses up to three times. */
export function leftBound(world: World, key: string): number {
  const record = world.store.record(key)
  const requests = record?.queue.reduce((sum, { from, to }) => sum + to - from + 1, 0) ?? 0
  return 8 * leaseOf(world) + requests * 3 * 3 * (3 * world.shape.maxBackoff + 500)
}

/** In ms, of every plain hold. */
const leaseOf = ({ shape }: World): number => Math.ceil((shape.duration * 4) / 3)

/** A waiter's pause between two looks, in ms of true time: at most. */
const pauseOf = ({ shape }: World, { traits }: Process): number => (shape.maxBackoff * 1.05) / traits.rate + 2 * traits.latency + 10

function wakeBound(world: World, holder: Process, waiter: Process): number {
  const latency = 2 * (holder.traits.latency + 2 * waiter.traits.latency) + 20
  return holder.traits.channel && waiter.traits.channel ? latency : latency + pauseOf(world, waiter)
}

function crashBound(world: World, holder: Process, waiter: Process): number {
  const { traits } = waiter
  if (holder.traits.beacon && !holder.traits.silent && traits.beacon) return 8 * traits.latency + 50
  const lease = leaseOf(world) / traits.rate
  // Each look adds no more to a silence than its pause; the time that the look takes is lost where pauses are short.
  const pause = Math.min(world.shape.maxBackoff, leaseOf(world) / 8) * 0.75
  const stretch = Math.max(1, (pause + 2 * traits.latency + 4) / (1.25 * pause))
  return lease * stretch + 3 * pauseOf(world, waiter) + 1_000
}

/** How long a lock that is free may take, in ms: a session may have to be opened first. */
const freeBound = ({ traits }: Process): number => 1_000 + 10 * traits.latency

interface Wait {
  lock: HeldLock | undefined
}

function watch(world: World, process: Process, key: string): Wait {
  const wait: Wait = { lock: undefined }
  process.locks.acquire(key).then(
    (lock) => {
      wait.lock = lock
      world.beliefs.got(process, lock, false)
    },
    (error) => world.fail(`${process.name} cannot acquire ${key}: ${error}`),
  )
  return wait
}

/** Takes a lock that nobody alive holds. */
async function take(world: World, process: Process, key: string, ms: number): Promise<HeldLock | undefined> {
  const wait = watch(world, process, key)
  await expectWithin(world, wait, ms, `${process.name} to get ${key}, which nobody holds`)
  return wait.lock
}

async function expectWithin(world: World, wait: Wait, ms: number, what: string): Promise<void> {
  const end = world.timeline.now + ms
  while (!wait.lock && world.timeline.now < end && world.failure === undefined) await world.pass(Math.min(50, end - world.timeline.now))
  if (!wait.lock) world.fail(`waited ${Math.round(ms)} ms in vain for ${what}`)
}
