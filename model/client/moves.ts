import { Shell } from './shell.ts'
import { carryOut, copy, type Item, type Parts, times, type World } from './world.ts'

/** One thing that may happen next: its description, and how it changes a copy of the world. */
export interface Move {
  readonly text: string
  readonly isFault: boolean
  act(world: World): void
}

/** The most that each client does, and for how long. */
export interface Bounds {
  readonly asks: number
  readonly beats: number
  /** In ticks. */
  readonly time: number
}

/** One possible result of a move. */
export interface Step {
  /** The move, and then what happened to the messages that it sent. */
  readonly texts: readonly string[]
  readonly after: World
}

/** All possible results of a move. Each message that it sends arrives at once, or, if a fault is left, is held up, lost or doubled. */
export function* steps(parts: Parts, world: World, move: Move, texts: readonly string[] = []): Generator<Step> {
  const after = copy(parts, world)
  move.act(after)
  if (move.isFault) after.faults--
  const path = [...texts, move.text]
  const place = after.items.findIndex((item) => item.fresh)
  if (place < 0) yield { texts: path, after }
  else for (const next of ofItem(parts, after, after.items[place] as Item, place)) yield* steps(parts, after, next, path)
}

/** Everything that may happen next in a world without fresh messages. */
export function* moves(parts: Parts, world: World, bounds: Bounds): Generator<Move> {
  for (const [index, seat] of world.seats.entries()) {
    if (!seat.alive) continue
    const by = (text: string, act: (shell: Shell, world: World) => void, isFault = false): Move => ({
      text: `${seat.id} ${text}`,
      isFault,
      act: (next) => act(new Shell(parts, next, index), next),
    })
    const { requests, grants } = seat.key
    const isUnderWay = (...purposes: string[]): boolean =>
      world.items.some((item) => (item.is === 'command' || item.is === 'answer') && item.seat === index && purposes.includes(item.purpose.for))
    if (!requests.size && !grants.size && seat.asked < bounds.asks) {
      yield by('asks', (shell) => shell.ask({ mode: 'exclusive' }))
      if (world.faults && world.record?.holders.length && !world.limit)
        yield by('steals', (shell) => shell.ask({ mode: 'exclusive', steal: true }), true)
    }
    if (requests.size) {
      yield by('gives up', (shell) => shell.giveUp())
      const isQueued = [...requests.values()].some(({ life }) => life.is === 'queued' || life.is === 'unsent')
      if (isQueued && !new Shell(parts, world, index).isLooking) yield by('looks', (shell) => shell.look())
      const dead = world.seats.find(({ id, alive }) => !alive && world.rows.has(id))
      if (isQueued && dead && !isUnderWay('others'))
        yield by(`proves ${dead.id} dead`, (shell, next) => shell.bury(next.seats.find(({ id }) => id === dead.id) as typeof dead))
    }
    if (grants.size) {
      yield by('lets go', (shell) => shell.release())
      if ([...grants.keys()].some((grant) => grant.lapse(world.now))) yield by('notices its deadline', (shell) => shell.expireDue())
      if ([...grants.keys()].some((grant) => grant.renewsItself) && !isUnderWay('renewal')) yield by('renews', (shell) => shell.renew())
      if ([...grants.keys()].some((grant) => grant.leans) && seat.beaten < bounds.beats && !isUnderWay('beat'))
        yield by('beats', (shell) => shell.beat())
    }
    if (world.faults && seat.asked)
      yield by(
        'crashes',
        (_, next) => {
          Object.assign(next.seats[index] as object, { alive: false })
          // The store may still carry out commands that it has sent.
          next.items = next.items.filter((item) => item.seat !== index || item.is === 'command')
        },
        true,
      )
  }
  const met = new Set<number>()
  for (const [place, item] of world.items.entries()) {
    // A store carries out the commands of one session in order. All other items may overtake each other.
    if (item.is === 'command' && met.has(item.seat)) continue
    if (item.is === 'command') met.add(item.seat)
    yield* ofItem(parts, world, item, place)
  }
  for (const ticks of [1, 2, times.lease])
    if (world.now + ticks <= bounds.time)
      yield {
        text: `${ticks} ticks`,
        isFault: false,
        act: (next) => {
          next.now += ticks
        },
      }
}

function* ofItem(parts: Parts, world: World, item: Item, place: number): Generator<Move> {
  const { id } = world.seats[item.seat] as World['seats'][number]
  const take = (act: (next: World, shell: Shell) => void) => (next: World) => {
    next.items.splice(place, 1)
    act(next, new Shell(parts, next, item.seat))
  }
  if (item.fresh && world.faults)
    yield {
      text: `what was just sent by ${id}, or to it, is held up: ${item.is}`,
      isFault: true,
      act: (next) => {
        next.items[place] = { ...item, fresh: false }
      },
    }
  switch (item.is) {
    case 'command': {
      const { command } = item
      const what = `the store: ${command.type} of ${id}`
      const isAlive = world.seats[item.seat]?.alive
      const answer = (next: World, outcome: ReturnType<typeof carryOut> | undefined): void => {
        if (isAlive) next.items.push({ ...item, is: 'answer', fresh: true, outcome })
      }
      yield { text: what, isFault: false, act: take((next) => answer(next, carryOut(next, command))) }
      if (!world.faults) return
      yield { text: `${what} fails`, isFault: true, act: take((next) => answer(next, undefined)) }
      yield {
        text: `${what}, whose answer is lost`,
        isFault: true,
        act: take((next) => {
          carryOut(next, command)
          answer(next, undefined)
        }),
      }
      return
    }
    case 'answer':
      yield {
        text: `${id} hears of its ${item.command.type}: ${item.outcome?.type ?? 'failed'}`,
        isFault: false,
        act: take((_, shell) => shell.answered(item)),
      }
      return
    case 'look':
      yield { text: `${id} sees what it looked at`, isFault: false, act: take((_, shell) => shell.looked(item)) }
      return
    case 'hint': {
      const what = `a hint for ${id}`
      yield { text: what, isFault: false, act: take((_, shell) => shell.hear(item.grant)) }
      if (world.faults) yield { text: `${what}, and again later`, isFault: true, act: (next) => new Shell(parts, next, item.seat).hear(item.grant) }
    }
  }
}
