import { chmodSync, statSync } from 'node:fs'
import { Exit, exitCodes } from '../exit.ts'

/** The files of a database, with the modes that they get. SQLite gives files that it makes later the mode of the database. */
const files = [
  ['', 0o600],
  ['-wal', 0o600],
  ['-shm', 0o600],
  ['-storelock', 0o700],
] as const

/**
 * Makes the database's files, including later ones, accessible only for their owner: anyone who can read the `-shm` can block all locks.
 * @param tell called with a message for each file that other users could read
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
    tell(`${path} was readable for others, who could have blocked all locks: now only its owner can read it`)
  }
}
