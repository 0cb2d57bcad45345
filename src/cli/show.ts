import { emptyView } from '../protocol/index.ts'
import type { Common } from './args.ts'
import { colours, inWords, print, printJson } from './output.ts'
import { type HolderState, heldFor, kindOf, type LockState, nameOf, stateOf, type WaiterState } from './state.ts'
import { keyOf, withStore } from './store.ts'

export async function show(name: string, { store: place, json }: Common): Promise<void> {
  const key = keyOf(name)
  const view = (await withStore(place, (store) => store.read(key))) ?? emptyView(key)
  const state = stateOf(view)
  if (json) printJson(state)
  else print(linesOf(state).join('\n'))
}

function linesOf({ key, token, holders, queue, pins }: LockState): string[] {
  return [
    `${colours.bold(key)}  ${holders.length ? 'held' : 'free'}${token ? `, last token ${token}` : ', never held'}`,
    ...holders.map(holderLine),
    ...queue.map(waiterLine),
    ...pins.map((entity) => `  pinned by ${entity}`),
  ]
}

function holderLine(holder: HolderState): string {
  const { session, token, since, expires, overdue, metadata } = holder
  const now = Date.now()
  const end = overdue ? colours.yellow(`overdue since ${inWords(now - expires)}`) : `expires in ${inWords(expires - now)} unless renewed`
  const parts = [`held by ${nameOf(holder)}`, kindOf(holder), `for ${heldFor(since, now)}`, end, `token ${token}`, `session ${session}`]
  return `  ${parts.join(', ')}${metadata === null ? '' : `, metadata ${JSON.stringify(metadata)}`}`
}

function waiterLine(waiter: WaiterState): string {
  const { session, ask, count } = waiter
  const parts = [`waiting: ${nameOf(waiter)}`, kindOf(waiter), ...(count > 1 ? [`${count} requests`] : []), `session ${session}`]
  return `  ${parts.join(', ')}${ask === null ? '' : `, asks ${JSON.stringify(ask)}`}`
}
