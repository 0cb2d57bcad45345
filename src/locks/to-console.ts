import type { LockWarning } from './events.ts'

/**
 * The default `onWarning`: shows the first warning of each type on the console, so that an unattended program does not fill its log with repeated
 * warnings.
 */
export function toConsole(): (warning: LockWarning) => void {
  const shown = new Set<string>()
  return ({ type, names, error }) => {
    if (shown.has(type)) return
    shown.add(type)
    const about = names.length ? ` (${names})` : ''
    console.warn(`storelock: ${type} warning${about}: ${error.message}. Shown once: onWarning gets all, and onWarning() {} silences them.`)
  }
}
