import { type Change, changesBetween } from '../inspector/changes.ts'
import { type Cycle, cyclesIn, idOf } from '../inspector/waits.ts'
import type { Common } from './args.ts'
import { untilSignal } from './interrupt.ts'
import { type Look, withLook } from './look.ts'
import { colours, lineOf, type Parts, print, printJson, tableOf } from './output.ts'
import { fitted } from './screen.ts'
import { sleep } from './sleep.ts'
import { isIdle, type LockState, stateOf } from './state.ts'
import { cycleOf, watchHead, watchRows } from './watched.ts'

/** Times in ms. */
export interface WatchOptions extends Common {
  readonly interval: number
}

/** A change, or a new cycle of waits. */
type Told = Change | { readonly at: number; readonly event: 'cycle'; readonly who: string; readonly cycle: Cycle }

/** How many of the last events are below the table. */
const shown = 10

/** Shows the locks until a signal ends it: on a terminal as a live table, else as a line for each change. */
export async function watch(prefix: string, { store: place, json, interval }: WatchOptions): Promise<void> {
  const live = process.stdout.isTTY && !json
  const tell = json ? printJson : (event: Told) => print(...partsOf(event))
  const last: Told[] = []
  let before: ReadonlyMap<string, LockState> = new Map()
  let known: ReadonlySet<string> = new Set()
  await untilSignal((signal) =>
    withLook(place, async (store) => {
      for (;;) {
        const states = await lookAt(store, prefix)
        const at = Date.now()
        const cycles = cyclesOf(states)
        const events: Told[] = changesBetween(before, states, at)
        for (const cycle of cycles) if (!known.has(idOf(cycle))) events.push({ at, event: 'cycle', who: cycleOf(cycle, states), cycle })
        before = states
        known = new Set(cycles.map(idOf))
        last.push(...events)
        last.splice(0, last.length - shown)
        if (live) await draw(states, cycles, last)
        else for (const event of events) tell(event)
        await sleep(interval, signal)
      }
    }),
  )
}

type States = ReadonlyMap<string, LockState>

const lookAt = async (store: Look, prefix: string): Promise<States> =>
  new Map((await store.list(prefix, { busy: true })).map((view) => [view.key, stateOf(view)]))

/** A lock is named by its key here: two namespaces may have the same names. */
function cyclesOf(states: States): Cycle[] {
  const named = (key: string) => (party: LockState['queue'][number] | LockState['holders'][number]) => ({
    ...{ name: key, session: party.session, mode: party.mode, limit: party.limit ?? undefined },
  })
  const all = [...states.values()]
  return cyclesIn({
    held: all.flatMap(({ key, holders }) => holders.map(named(key))),
    pending: all.flatMap(({ key, queue }) => queue.map(named(key))),
  })
}

async function draw(states: States, cycles: readonly Cycle[], events: readonly Told[]): Promise<void> {
  const busy = [...states.values()].filter((state) => !isIdle(state))
  const table = busy.length
    ? await tableOf(
        watchHead,
        busy.flatMap((state) => watchRows(state)),
      )
    : ['no locks are held or waited for']
  const lines = fitted(
    // Cycles come first, so that a long table does not push them off the screen.
    [...cycles.map((cycle) => lineOf(colours.yellow('cycle'), `  ${cycleOf(cycle, states)}`)), ...table],
    events.map((event) => lineOf(...partsOf(event, clockTime(event.at)))),
    process.stdout,
  )
  // Draws from the top, after clearing the screen.
  process.stdout.write(`\u001b[H\u001b[J${lines.join('\n')}\n`)
}

/** The local wall time, such as `18:02:00`. */
const clockTime = (at: number): string => new Date(at).toTimeString().slice(0, 8)

function partsOf(told: Told, time = new Date(told.at).toISOString()): Parts {
  if (told.event === 'cycle') return [colours.dim(time), '  ', colours.yellow('cycle'), `  ${told.who}`]
  const { event, key, who, token } = told
  return [colours.dim(time), '  ', colours.bold(key), `  ${event}  ${who}${token === undefined ? '' : `  token ${token}`}`]
}
