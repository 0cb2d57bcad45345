import { emptyView } from '../protocol/index.ts'
import type { Common } from './args.ts'
import { withLook } from './look.ts'
import { colours, inWords, type Parts, print, printJson } from './output.ts'
import { type HolderState, heldFor, kindOf, type LockState, nameOf, stateOf, type WaiterState } from './state.ts'
import { keyOf } from './store.ts'

export async function show(name: string, { store: place, json }: Common): Promise<void> {
  const key = keyOf(name)
  const view = (await withLook(place, (look) => look.read(key))) ?? emptyView(key)
  const state = stateOf(view)
  if (json) printJson(state)
  else for (const line of linesOf(state)) print(...line)
}

function linesOf({ key, token, holders, queue, pins }: LockState): Parts[] {
  return [
    [colours.bold(key), `  ${holders.length ? 'held' : 'free'}${token ? `, last token ${token}` : ', never held'}`],
    ...holders.map(holderLine),
    ...queue.map((waiter) => [waiterLine(waiter)]),
    ...pins.map((entity) => [`  pinned by ${entity}`]),
  ]
}

function holderLine(holder: HolderState): Parts {
  const { session, token, since, expires, overdue, metadata } = holder
  const now = Date.now()
  const end = overdue ? colours.yellow(`overdue since ${inWords(now - expires)}`) : `expires in ${inWords(expires - now)} unless renewed`
  const more = metadata === null ? '' : `, metadata ${JSON.stringify(metadata)}`
  return [`  held by ${nameOf(holder)}, ${kindOf(holder)}, for ${heldFor(since, now)}, `, end, `, token ${token}, session ${session}${more}`]
}

function waiterLine(waiter: WaiterState): string {
  const { session, ask, count } = waiter
  const parts = [`waiting: ${nameOf(waiter)}`, kindOf(waiter), ...(count > 1 ? [`${count} requests`] : []), `session ${session}`]
  return `  ${parts.join(', ')}${ask === null ? '' : `, asks ${JSON.stringify(ask)}`}`
}
