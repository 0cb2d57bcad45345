import { chmodSync, statSync } from 'node:fs'
import { Exit, exitCodes } from '../exit.ts'

/** What is beside a database, with the modes that they get: of what is made later, SQLite and we take the database's own. */
const files = [
  ['', 0o600],
  ['-wal', 0o600],
  ['-shm', 0o600],
  ['-storelock', 0o700],
] as const

/**
 * Makes the database's files ours alone, those to come too: whoever may read the shm can stop all locks.
 * @param tell hears of what was open to others
 */
export function closeToOthers(place: string, tell: (what: string) => void): void {
  // Windows has no such modes.
  if (process.platform === 'win32') return
  process.umask(0o077)
  for (const [suffix, mode] of files) {
    const path = place + suffix
    const stat = statSync(path, { throwIfNoEntry: false })
    if (!stat || !(stat.mode & 0o077)) continue
    if (stat.uid !== process.geteuid?.()) throw new Exit(exitCodes.failed, `${path} is another user's and open to others: serve it as its owner`)
    chmodSync(path, mode)
    tell(`${path} was open to others, who could have stopped all locks: now it is for its owner alone`)
  }
}
