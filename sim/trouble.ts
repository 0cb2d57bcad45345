import type { Weather } from './link.ts'
import type { Process } from './process.ts'
import type { World } from './world.ts'

/** The relative frequency of each fault. */
const troubles = {
  stop: 8,
  crash: 3,
  fuse: 3,
  weather: 14,
  'beacon lost': 2,
  'wall step': 8,
  suspend: 6,
  'page frozen': 4,
  'page left': 3,
  sweep: 8,
  noise: 4,
  'storage cleared': 2,
} as const

/** Causes faults, each for a while, until `ms` have passed. */
export async function disturb(world: World, ms: number): Promise<void> {
  const { chance, timeline, shape } = world
  const end = timeline.now + ms
  const calm = chance.one([0.5, 1, 3])
  while (timeline.now < end && world.failure === undefined) {
    await world.pass(chance.next() * 0.6 * calm * shape.duration)
    strike(world)
  }
}

function strike(world: World): void {
  const what = world.chance.weighted(troubles)
  const process = world.chance.one(world.processes)
  if (what === 'sweep') sweep(world)
  else if (what === 'wall step') stepWall(world)
  else if (what === 'suspend') suspend(world)
  else if (what === 'storage cleared') clearStorage(world)
  else if (what === 'noise') {
    world.noise = world.chance.one([0, 0.1, 0.5, 1])
    world.log('world', () => `of all hints and proofs, ${world.noise} are disturbed`)
  } else if (process && (!process.stopped || what === 'beacon lost')) afflict(world, process, what)
}

function afflict(
  world: World,
  process: Process,
  what: Exclude<keyof typeof troubles, 'sweep' | 'wall step' | 'suspend' | 'noise' | 'storage cleared'>,
): void {
  const { chance, shape, timeline } = world
  const spell = (): number => chance.one([0.05, 0.5, 1.5, 4]) * chance.next() * shape.duration
  if (what === 'crash') world.crash(process)
  else if (what === 'fuse') process.fuse = 1 + chance.below(25)
  else if (what === 'stop') freeze(world, process, spell())
  else if (what === 'weather') {
    begin(process, chance.one(['slow', 'failing', 'losing', 'hanging', 'doubling', 'mixed', 'mixed']))
    timeline.after(spell() + 50, () => begin(process, 'fine'))
  } else if (what === 'beacon lost') {
    if (!process.traits.beacon) return
    process.log(() => `loses its beacon${process.running ? '' : ' while it does not run'}`)
    process.trouble()
    world.count('faults', process.running ? what : `${what} while stopped`)
    world.beacons.lose(process)
  } else if (process.page && process.running && !process.closing) {
    const { page } = process
    world.count('faults', what)
    process.log(() => what)
    process.trouble()
    page.tell(what === 'page left' ? 'pagehide' : 'freeze')
    if (what === 'page left') timeline.after(0, () => process.channels && world.fail(`${process.name} was left with a channel open`))
    freeze(world, process, spell(), () => page.tell(what === 'page left' ? 'pageshow' : 'resume'))
  }
}

/** A store may sweep at any time to save space. This must never do harm. */
function sweep(world: World): void {
  const key = world.chance.one(world.store.keys)
  if (key === undefined) return
  world.ledger.apply(undefined, [{ type: 'sweep', key }])
  world.count('operations', 'sweep')
}

function begin(process: Process, weather: Weather): void {
  process.log(() => `its store is ${weather}`)
  process.link.weather = weather
}

function freeze(world: World, process: Process, ms: number, then?: () => void): void {
  world.count('faults', 'stop')
  process.log(() => `stops for ${Math.round(ms)} ms`)
  process.stop()
  world.timeline.after(ms, () => {
    if (process.stopped) {
      process.log(() => 'runs again')
      process.resume()
    }
    if (then) process.enter(then)
  })
}

function clearStorage(world: World): void {
  if (world.shape.kind !== 'tabs') return
  world.count('faults', 'storage cleared')
  world.clearStorage()
}

/** A user or a time server sets the clock of one machine, or of all. */
function stepWall(world: World): void {
  const { chance, machines, shape } = world
  if (!shape.wallSteps) return
  const ms = (chance.next() - 0.5) * chance.one([1, 10, 1_000]) * shape.duration
  const all = chance.maybe(0.5)
  const one = chance.one(machines)
  world.count('faults', 'wall step')
  world.log('world', () => `${all ? 'all wall clocks' : 'a wall clock'} set by ${Math.round(ms)} ms`)
  for (const machine of machines) if (all || machine === one) machine.wall += ms
}

/** Suspends one machine, or all, for a moment or for long. */
function suspend(world: World): void {
  const { chance, machines, shape, timeline } = world
  const one = chance.one(machines)
  const ms = chance.one([0.1, 1, 5, 50]) * chance.next() * shape.duration
  for (const machine of machines) {
    if (machine.asleep || (shape.sleepsAlone && machine !== one)) continue
    world.count('faults', 'suspend')
    // If the monotonic clock runs during sleep, short locks expire. If a machine sleeps alone, other machines may take its locks.
    const costly = (machine.countsSleep && ms > shape.duration / 100) || shape.sleepsAlone
    for (const process of world.processes) if (costly && process.traits.machine === machine) process.trouble(ms)
    world.suspend(machine)
    timeline.after(ms, () => machine.asleep && world.wake(machine))
  }
}
