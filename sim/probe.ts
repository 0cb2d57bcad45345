import type { AcquireOptions, HeldLock } from '../src/locks/types.ts'
import type { Json } from '../src/protocol/index.ts'
import { keys, limitedKey, type Traits } from './parts.ts'
import type { Process } from './process.ts'
import type { World } from './world.ts'

/**
 * Measures in a world without faults how soon a waiter gets a released lock, how soon a holder learns of asks and steals, and how soon a dead
 * holder's lock is available.
 */
export async function probe(world: World): Promise<void> {
  const { chance, shape } = world
  const { limit } = shape
  // A process with manual expiry evicts no holder by itself.
  const waiter = world.processes.find(({ traits }) => traits.options.expiry === 'auto')
  const holder = world.processes.find((each) => each !== waiter && each.keyOf('k') === waiter?.keyOf('k'))
  if (!holder || !waiter || !shape.timely) return
  // Processes that died earlier have left requests in the queue. A new request has to wait until they lapse.
  for (const key of keys) {
    const wish = key === limitedKey && limit ? { limit } : {}
    ;(await take(world, waiter, key, leftBound(world, waiter.keyOf(key)), wish))?.release()
  }
  const key = `after ${Math.round(world.timeline.now)} ms`

  const first = await take(world, holder, key, freeBound(world, holder, waiter))
  if (!first) return
  const woken = watch(world, waiter, key)
  await world.pass(chance.next() * 2 * shape.duration)
  first.release()
  await expectWithin(world, woken, wakeBound(world, holder, waiter), `${waiter.name} to be woken by the release of ${holder.name}`)
  woken.lock?.release()
  await world.pass(100)

  const asked: Json[] = []
  const onReleaseRequested = (ask: Json): void => {
    asked.push(ask)
  }
  const second = await take(world, holder, key, freeBound(world, holder, waiter), { onReleaseRequested })
  if (!second) return
  const brief = waiter.locks.acquire(key, { ask: 'now', timeout: 1 })
  brief.then((lock) => lock.release()).catch(() => {})
  await expectSoon(
    world,
    () => asked.includes('now'),
    newsBound(world, holder, waiter),
    `${holder.name} to hear what ${waiter.name} asked in passing`,
  )
  const asker = watch(world, waiter, key, { ask: 'please' })
  await expectSoon(world, () => asked.includes('please'), newsBound(world, holder, waiter), `${holder.name} to hear what ${waiter.name} asks for`)
  if (asked.length > 2) world.fail(`${holder.name} heard ${asked.length} times what was asked twice`)
  second.release()
  await expectWithin(world, asker, wakeBound(world, holder, waiter), `${waiter.name} to get what it has asked for`)
  asker.lock?.release()
  await world.pass(100)

  const third = await take(world, holder, key, freeBound(world, holder, waiter))
  if (!third) return
  waiter.meant.add(`steal ${waiter.keyOf(key)}`)
  const thief = watch(world, waiter, key, { steal: true })
  await expectSoon(world, () => !third.isHeld(), newsBound(world, holder, waiter), `${holder.name} to hear that ${waiter.name} has taken its lock`)
  await expectWithin(world, thief, freeBound(world, waiter, holder), `${waiter.name} to have what it has taken`)
  thief.lock?.release()
  await world.pass(100)

  const places = limit ? await takeAll(world, holder, waiter, `${key}, one of ${limit}`, limit) : undefined
  if (!(await take(world, holder, key, freeBound(world, holder, waiter)))) return
  const heir = watch(world, waiter, key)
  await world.pass(chance.next() * 2 * shape.duration)
  const provable = isProvable(world, holder, waiter)
  world.crash(holder)
  await expectWithin(world, heir, crashBound(world, waiter, provable), `${waiter.name} to take over from ${holder.name}, which died`)
  heir.lock?.release()
  for (const place of places ?? [])
    await expectWithin(world, place, crashBound(world, waiter, provable), `${waiter.name} to have a place of ${holder.name}, which died`)
  for (const place of places ?? []) place.lock?.release()
  await world.pass(100)
}

/** The holder takes all places of a key and releases one, which the waiter gets. @returns that place, and the waiter's wait for another */
async function takeAll(world: World, holder: Process, waiter: Process, key: string, limit: number): Promise<Wait[] | undefined> {
  const held: HeldLock[] = []
  const fill = async (places: number): Promise<void> => {
    for (let left = places; left > 0 && world.failure === undefined; left--) {
      const lock = await take(world, holder, key, freeBound(world, holder, waiter), { limit })
      if (lock) held.push(lock)
    }
  }
  await fill(limit)
  const next = watch(world, waiter, key, { limit })
  await world.pass(world.chance.next() * 2 * world.shape.duration)
  if (next.lock) world.fail(`${waiter.name} holds ${key} beside ${limit} others`)
  held[0]?.release()
  await expectWithin(world, next, wakeBound(world, holder, waiter), `${waiter.name} to be woken by the release of one place of ${holder.name}`)
  if (!held[1]?.isHeld()) world.fail(`${holder.name} lost a place as it gave back another`)
  // The waiter's place comes first in the record from now on.
  for (const lock of held.splice(0).slice(1)) lock.release()
  await fill(limit - 1)
  const heir = watch(world, waiter, key, { limit })
  await world.pass(100)
  return [next, heir]
}

/**
 * Freezes a page that releases one lock just before the freeze event, and another just after it. Neither lock may linger in the frozen page,
 * which cannot hear an ask.
 */
export async function probeFrozen(world: World): Promise<void> {
  const waiter = world.processes.find(({ traits }) => traits.options.expiry === 'auto')
  const frozen = world.processes.find((each) => each !== waiter && each.page && lingers(each) && each.keyOf('k') === waiter?.keyOf('k'))
  if (!frozen || !waiter || !world.shape.timely) return
  const [before, after] = ['let go of before', 'let go of after']
  const [one, other] = [
    await take(world, frozen, before, freeBound(world, frozen, waiter)),
    await take(world, frozen, after, freeBound(world, frozen, waiter)),
  ]
  one?.release()
  frozen.page?.tell('freeze')
  other?.release()
  // Messages that it sends during the event still go out.
  await world.pass(1)
  frozen.stop()
  for (const key of [before, after]) await take(world, waiter, key, freeBound(world, waiter, frozen))
}

/** Closes the locks of a process that has just released one. It must not keep that lock. */
export async function probeClosed(world: World): Promise<void> {
  const leaver = world.processes.find((each) => lingers(each) && each.running)
  if (!leaver || !world.shape.timely) return
  const key = 'let go of last'
  const lock = await take(world, leaver, key, freeBound(world, leaver, leaver))
  lock?.release()
  let closed = false
  leaver.closing = true
  leaver.locks.close().then(() => {
    closed = true
  })
  await expectSoon(world, () => closed, 2 * leaver.traits.latency + 20, `${leaver.name} to close its locks`)
  if (world.store.record(leaver.keyOf(key))?.holders.length) world.fail(`${leaver.name} has ${key} though it was closed`)
}

/** How long requests of dead sessions in a record may hold up other waiters, in ms. Each such request is granted up to three times. */
export function leftBound(world: World, key: string): number {
  const record = world.store.record(key)
  const requests = record?.queue.reduce((sum, { from, to }) => sum + to - from + 1, 0) ?? 0
  return 8 * leaseOf(world) + requests * 3 * 3 * (3 * world.shape.maxBackoff + 500)
}

/** The lease of every plain hold, in ms. */
const leaseOf = ({ shape }: World): number => Math.ceil((shape.duration * 4) / 3)

/** A waiter's longest pause between two looks, in ms of true time. */
const pauseOf = ({ shape }: World, traits: Traits): number => (shape.maxBackoff * 1.05) / traits.rate + 2 * traits.latency + 10

function wakeBound(world: World, holder: Process, waiter: Process): number {
  const latency = 2 * (holder.traits.latency + 2 * waiter.traits.latency) + 20
  const known = lingers(holder) ? newsBound(world, holder, waiter) : 0
  return known + (haveHints(holder, waiter) ? latency : latency + pauseOf(world, waiter.traits))
}

/** How soon a holder learns of an ask or a steal, in ms: by a hint or with its next beat. */
function newsBound(world: World, holder: Process, waiter: Process): number {
  const { traits } = holder
  const latency = 4 * (traits.latency + waiter.traits.latency) + 20
  return haveHints(holder, waiter) ? latency : latency + (0.1 * world.shape.duration) / traits.rate
}

const haveHints = (...processes: Process[]): boolean => processes.every(({ traits }) => traits.channel === 'fine')

/** Whether the waiter would get a proof of the process's death. */
const isProvable = (world: World, { locks, traits, lockManager }: Process, waiter: Process): boolean =>
  !traits.silent && waiter.traits.beacon && waiter.lockManager === lockManager && world.beacons.isLit(locks.session)

function crashBound(world: World, { traits }: Process, provable: boolean): number {
  if (provable) return 8 * traits.latency + 50
  const lease = leaseOf(world) / traits.rate
  // A look adds at most the capped pause to the silence, so with short pauses the time of the look itself does not count.
  const pause = Math.min(world.shape.maxBackoff, leaseOf(world) / 8) * 0.75
  const stretch = Math.max(1, (pause + 2 * traits.latency + 4) / (1.25 * pause))
  return lease * stretch + 3 * pauseOf(world, traits) + 1_000
}

const lingers = ({ traits }: Process): boolean => traits.options.linger !== undefined && traits.channel !== 'none'

/** How long it may take to acquire a free lock, in ms. A session may have to be opened first, and the lock may linger with another process. */
function freeBound(world: World, process: Process, last: Process): number {
  const { latency, raising, rate } = process.traits
  const opening = 1_000 + 10 * latency + (raising === 'hangs' ? 1_000 / rate : 0)
  return lingers(last) ? opening + wakeBound(world, last, process) : opening
}

interface Wait {
  lock: HeldLock | undefined
  /** Whether it was refused, because a dead session still holds the key with another limit. */
  refused: boolean
}

function watch(world: World, process: Process, key: string, wish: AcquireOptions = {}): Wait {
  const wait: Wait = { lock: undefined, refused: false }
  process.locks.acquire(key, wish).then(
    (lock) => {
      wait.lock = lock
      world.beliefs.got(process, lock, false)
    },
    (error) => {
      wait.refused = key === limitedKey && error.code === 'invalid'
      if (!wait.refused) world.fail(`${process.name} cannot acquire ${key}: ${error}`)
    },
  )
  return wait
}

/** Takes a lock that no live process holds. */
async function take(world: World, process: Process, key: string, ms: number, wish?: AcquireOptions): Promise<HeldLock | undefined> {
  const wait = watch(world, process, key, wish)
  await expectWithin(world, wait, ms, `${process.name} to get ${key}, which nobody holds`)
  return wait.lock
}

const expectWithin = (world: World, wait: Wait, ms: number, what: string): Promise<void> =>
  expectSoon(world, () => wait.lock !== undefined || wait.refused, ms, what)

async function expectSoon(world: World, isSo: () => boolean, ms: number, what: string): Promise<void> {
  const end = world.timeline.now + ms
  while (!isSo() && world.timeline.now < end && world.failure === undefined) await world.pass(Math.min(50, end - world.timeline.now))
  if (!isSo()) world.fail(`waited ${Math.round(ms)} ms in vain for ${what}`)
}
