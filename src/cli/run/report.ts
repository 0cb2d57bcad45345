import type { Locks } from '../../index.ts'
import { say } from '../output.ts'
import { holdersOf } from '../state.ts'

/** How long to wait before the wait is reported, in ms: most waits are shorter. */
const patience = 300
/** The pause between two looks at the holders, in ms. */
const pause = 1_000

/** Reports the holders of a lock during a wait for it, and again whenever they change. @returns how to stop */
export function reportHolders(locks: Locks, name: string): () => void {
  let said = ''
  let timer = setTimeout(look, patience)
  let stopped = false

  async function look(): Promise<void> {
    const { held, pending } = await locks.query(name).catch(() => ({ held: [], pending: [] }))
    if (stopped) return
    const who = held.map(({ token }) => token).join()
    if (who !== said && held.length) say(`waiting for ${name}, held by ${holdersOf(held)} (${pending.length} waiting)`)
    said = who
    timer = setTimeout(look, pause)
  }

  return () => {
    stopped = true
    clearTimeout(timer)
  }
}
