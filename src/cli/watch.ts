import type { Common } from './args.ts'
import { eventsBetween, type LockEvent } from './events.ts'
import { untilSignal } from './interrupt.ts'
import { type Look, withLook } from './look.ts'
import { colours, lineOf, type Parts, print, printJson, tableOf } from './output.ts'
import { fitted } from './screen.ts'
import { sleep } from './sleep.ts'
import { head, isIdle, type LockState, rowsOf, stateOf } from './state.ts'

/** Times in ms. */
export interface WatchOptions extends Common {
  readonly interval: number
}

/** How many of the last events are below the table. */
const shown = 10

/** Shows the locks until it is interrupted: on a terminal as a live table, else as a line for each change. */
export async function watch(prefix: string, { store: place, json, interval }: WatchOptions): Promise<void> {
  const live = process.stdout.isTTY && !json
  const tell = json ? printJson : (event: LockEvent) => print(...partsOf(event))
  const last: LockEvent[] = []
  let before: ReadonlyMap<string, LockState> = new Map()
  await untilSignal((signal) =>
    withLook(place, async (store) => {
      for (;;) {
        const states = await lookAt(store, prefix)
        const events = eventsBetween(before, states)
        before = states
        last.push(...events)
        last.splice(0, last.length - shown)
        if (live) await draw([...states.values()], last)
        else for (const event of events) tell(event)
        await sleep(interval, signal)
      }
    }),
  )
}

const lookAt = async (store: Look, prefix: string): Promise<ReadonlyMap<string, LockState>> =>
  new Map((await store.list(prefix, { busy: true })).map((view) => [view.key, stateOf(view)]))

async function draw(states: readonly LockState[], events: readonly LockEvent[]): Promise<void> {
  const busy = states.filter((state) => !isIdle(state))
  const table = busy.length
    ? await tableOf(
        head,
        busy.flatMap((state) => rowsOf(state)),
      )
    : ['no locks are held or waited for']
  const lines = fitted(
    table,
    events.map((event) => lineOf(...partsOf(event, clockTime(event.at)))),
    process.stdout,
  )
  // From the top, and clears the rest of the screen.
  process.stdout.write(`\u001b[H\u001b[J${lines.join('\n')}\n`)
}

/** The local wall time. */
const clockTime = (at: number): string => new Date(at).toTimeString().slice(0, 8)

function partsOf({ at, event, key, who, token }: LockEvent, time = new Date(at).toISOString()): Parts {
  return [colours.dim(time), '  ', colours.bold(key), `  ${event}  ${who}${token === undefined ? '' : `  token ${token}`}`]
}
