import type { Locks } from '../index.ts'
import { inWords, lineOf, say } from './output.ts'
import { nameOf } from './state.ts'

/** The pause between two looks, in ms. */
const pause = 1_000

/**
 * Shows, during a wait for a lock, the place in the queue, the holders and since when they hold it: on a terminal in one line that is updated, else
 * in a new line for each change.
 * @returns how to stop
 */
export function showProgress(locks: Locks, name: string): () => void {
  const live = process.stderr.isTTY === true
  let said = ''
  let stopped = false
  let timer: NodeJS.Timeout | undefined

  const tell = (state: string, line: string): void => {
    if (live) process.stderr.write(`\r\u001b[K${lineOf(`storelock: ${line}`).slice(0, (process.stderr.columns || 80) - 1)}`)
    else if (state !== said) say(line)
    said = state
  }

  const look = async (): Promise<void> => {
    const found = await locks.query(name).catch(() => undefined)
    if (stopped) return
    const place = found ? found.pending.findIndex(({ session }) => session === locks.session) + 1 : 0
    if (found && place) {
      const holders = found.held.map(({ session, label = null, since }) => {
        const from = since === undefined ? '' : ` since ${new Date(since).toTimeString().slice(0, 8)}, for ${inWords(Date.now() - since)}`
        return `${nameOf({ session, label })}${from}`
      })
      const queue = `place ${place} of ${found.pending.length}`
      tell(`${queue} ${found.held.map(({ token }) => token)}`, `waiting for ${[name, queue, `held by ${holders.join(' and ')}`].join(', ')}`)
    }
    timer = setTimeout(look, pause)
  }
  look()

  return () => {
    stopped = true
    clearTimeout(timer)
    if (live && said) process.stderr.write('\r\u001b[K')
  }
}
