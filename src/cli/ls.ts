import type { Common } from './args.ts'
import { withLook } from './look.ts'
import { printJson, printTable } from './output.ts'
import { head, isIdle, rowsOf, stateOf } from './state.ts'

export interface LsOptions extends Common {
  /** Also locks that nobody holds, waits for or pins. */
  readonly all?: true
}

export async function ls(prefix: string, { store: place, json, all }: LsOptions): Promise<void> {
  const views = await withLook(place, (look) => look.list(prefix, { busy: !all }))
  const states = views.map((view) => stateOf(view)).filter((state) => all || !isIdle(state))
  if (json) printJson(states)
  else if (states.length)
    await printTable(
      head,
      states.flatMap((state) => rowsOf(state)),
    )
}
