import type { Tally } from './parts.ts'
import { leftBound, probe, probeClosed, probeFrozen } from './probe.ts'
import { meetIn } from './sockets.ts'
import { broadcastChannelOf } from './tabs.ts'
import { disturb } from './trouble.ts'
import { User } from './user.ts'
import { World } from './world.ts'

export interface Result {
  readonly seed: number
  /** Simulated time, in ms. */
  readonly ms: number
  readonly tally: Tally
  readonly failure: string | undefined
  readonly history: readonly string[] | undefined
}

/** The number of lives of a world. In each there are faults, and then a quiet time in which all waits must end. */
const lives = 3
const population = 4

/** Runs one world from start to end. The same seed gives the same history, to the last event. */
export async function run(seed: number, withHistory = false): Promise<Result> {
  const world = new World(seed, withHistory)
  const strayed = (error: unknown): void => world.fail(`nobody handled ${error instanceof Error ? error.stack : error}`)
  const restore = settle(world)
  process.on('unhandledRejection', strayed).on('uncaughtException', strayed)
  try {
    await play(world)
  } catch (error) {
    strayed(error)
  } finally {
    process.off('unhandledRejection', strayed).off('uncaughtException', strayed)
    restore()
  }
  const { tally, failure, history } = world
  return { seed, ms: world.timeline.now, tally, failure, history }
}

async function play(world: World): Promise<void> {
  const users: User[] = []
  const people = (): void => {
    while (world.processes.length < population) {
      const process = world.join()
      for (let count = 1 + world.chance.below(3); count; count--) users.push(new User(process, world))
    }
  }
  for (let life = 0; life < lives && world.failure === undefined; life++) {
    world.quiet = false
    people()
    for (let part = 0; part < 4; part++) {
      await disturb(world, world.chance.between(1, 6) * world.shape.duration)
      people()
    }
    await rest(world, users)
    await probe(world)
  }
  await probeFrozen(world)
  await probeClosed(world)
}

/** All faults end and users start nothing new. Every wait must end, and no hold or request may be left behind. */
async function rest(world: World, users: readonly User[]): Promise<void> {
  const { shape, timeline, store } = world
  world.mend()
  world.quiet = true
  unpinAll(world)
  for (const user of users) user.tidy()
  const busy = (): User[] => users.filter(({ process, idle }) => !process.dead && !idle)
  const end = timeline.now + 20 * shape.duration + Math.max(0, ...store.keys.map((key) => leftBound(world, key)))
  while (busy().length && timeline.now < end && world.failure === undefined) {
    for (const user of busy()) user.oversee()
    await world.pass(500)
  }
  for (const { process } of busy()) world.fail(`a user of ${process.name} still waits though all else is at rest`)
  // Gives the last releases time to arrive, and forgotten locks time to end.
  await world.pass(4 * shape.duration)
  // A pin of a dead process may have arrived late.
  unpinAll(world)
  for (const key of store.keys) {
    const record = store.record(key)
    for (const { session } of [...(record?.holders ?? []), ...(record?.queue ?? [])]) {
      const owner = world.ledger.ownerOf(session)
      // Requests that an ended session could not withdraw lapse when another session wants the lock.
      if (owner && !owner.dead && owner.locks.session === session)
        world.fail(`${session} of ${owner.name} stands in the record of ${key} though nobody there wants it`)
    }
  }
}

function unpinAll({ store, ledger }: World): void {
  for (const key of store.keys) {
    const pins = store.record(key)?.pins ?? []
    if (pins.length)
      ledger.apply(
        undefined,
        pins.map((entity) => ({ type: 'unpin', key, entity })),
      )
  }
}

/** Replaces what the library takes from its engine: randomness for session ids, and the medium of hints. @returns a function that undoes this */
function settle(world: World): () => void {
  const getRandomValues = (bytes: Uint8Array): Uint8Array => bytes.map(() => world.chance.below(256))
  const engine = { crypto: { getRandomValues }, BroadcastChannel: broadcastChannelOf(world) }
  const own = Object.keys(engine).map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name) as PropertyDescriptor] as const)
  for (const [name, value] of Object.entries(engine)) Object.defineProperty(globalThis, name, { configurable: true, value })
  meetIn(world)
  return () => {
    for (const [name, property] of own) Object.defineProperty(globalThis, name, property)
  }
}
