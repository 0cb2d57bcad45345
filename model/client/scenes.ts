import { deliver, isHint, shellsOf } from './deliver.ts'
import type { Bounds } from './moves.ts'
import type { Shell } from './shell.ts'
import { type Item, type Parts, start, type World } from './world.ts'

/** A situation from which an exploration starts, so that it need not find its way there first. */
export interface Scene {
  readonly name: string
  readonly clients: number
  /** How many clients may hold the lock together, if more than one. */
  readonly limit?: number
  /** What happens before the exploration starts. */
  readonly acts: readonly ((shells: readonly [Shell, Shell, Shell]) => void)[]
  /** Which items are held up meanwhile. */
  readonly isHeld: (item: Item) => boolean
  /** How many moves from here are explored. */
  readonly depth: number
  /** How many more requests each client makes at most. */
  readonly asks: number
}

const isAnswer = ({ is, seat }: Item): boolean => is === 'answer' && seat === 0

const exclusive = { mode: 'exclusive' } as const
const aAsks: Scene['acts'][number] = ([a]) => a.ask(exclusive)
const cAsks: Scene['acts'][number] = ([, , c]) => c.ask(exclusive)
const bAsks: Scene['acts'][number] = ([, b]) => b.ask(exclusive)

export const scenes: readonly Scene[] = [
  { name: 'two clients, nobody has asked', clients: 2, acts: [], isHeld: isHint, asks: 2, depth: 5 },
  {
    name: 'two clients, one has the lock, the other has asked and looked',
    clients: 2,
    acts: [aAsks, bAsks, ([, b]) => b.look()],
    isHeld: isHint,
    asks: 1,
    depth: 5,
  },
  {
    name: 'two clients, one was granted the lock and has not heard of it, the other has asked and looked',
    clients: 2,
    acts: [aAsks, bAsks, ([, b]) => b.look()],
    isHeld: isAnswer,
    asks: 0,
    depth: 5,
  },
  {
    name: 'two clients, one has let go and has asked again, the other is granted the lock and does not know it yet',
    clients: 2,
    acts: [aAsks, bAsks, ([, b]) => b.look(), ([a]) => a.release(), aAsks, ([a]) => a.look()],
    isHeld: isHint,
    asks: 0,
    depth: 5,
  },
  {
    name: 'two clients, one waits, the other uses a grant that is not confirmed yet',
    clients: 2,
    acts: [aAsks, bAsks, ([, b]) => b.look(), ([a]) => a.release(), aAsks, ([a]) => a.look(), ([, b]) => b.look()],
    isHeld: isHint,
    asks: 0,
    depth: 5,
  },
  {
    name: 'three clients, one has the lock, two have asked, the last has looked',
    clients: 3,
    acts: [aAsks, bAsks, cAsks, ([, , c]) => c.look()],
    isHeld: isHint,
    asks: 0,
    depth: 4,
  },
  {
    name: 'three clients, two of two places are taken, the third has asked and looked',
    clients: 3,
    limit: 2,
    acts: [aAsks, bAsks, cAsks, ([, , c]) => c.look()],
    isHeld: isHint,
    asks: 0,
    depth: 4,
  },
  {
    name: 'three clients, one of two has let go and has asked again, the third is granted its place and does not know it yet',
    clients: 3,
    limit: 2,
    acts: [aAsks, bAsks, cAsks, ([, , c]) => c.look(), ([a]) => a.release(), aAsks, ([a]) => a.look()],
    isHeld: isHint,
    asks: 0,
    depth: 4,
  },
]

/** How many beats each client sends at most, how many faults may happen, and how much time passes. */
const bounds = { beats: 1, faults: 1, time: 9 }

export function open(parts: Parts, { clients, limit, acts, isHeld, asks }: Scene): { world: World; bounds: Bounds } {
  const world = start(parts, clients, bounds.faults, limit)
  const shells = shellsOf(parts, world)
  for (const act of acts) {
    act(shells as [Shell, Shell, Shell])
    deliver(world, shells, isHeld)
  }
  world.items = world.items.map((item) => ({ ...item, fresh: false }))
  const asked = Math.max(...world.seats.map((seat) => seat.asked))
  return { world, bounds: { ...bounds, asks: asked + asks } }
}
