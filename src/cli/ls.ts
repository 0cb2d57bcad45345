import type { Common } from './args.ts'
import { withLook } from './look.ts'
import { printJson, printTable, say } from './output.ts'
import { withoutSecret } from './place.ts'
import { head, isIdle, rowsOf, stateOf } from './state.ts'

export interface LsOptions extends Common {
  /** Also list locks without holders, waiters and pins. */
  readonly all?: true
}

export async function ls(prefix: string, { store: place, json, all }: LsOptions): Promise<void> {
  const views = await withLook(place, (look) => look.list(prefix, { busy: !all }))
  const states = views.map((view) => stateOf(view)).filter((state) => all || !isIdle(state))
  if (json) printJson(states)
  else if (!states.length) {
    const where = `in ${withoutSecret(place)}${prefix && ` whose name starts with ${prefix}`}`
    // Not on stdout: programs count its lines.
    say(all ? `there are no locks ${where}` : `nobody holds, waits for or pins anything ${where}`)
  } else
    await printTable(
      head,
      states.flatMap((state) => rowsOf(state)),
    )
}
