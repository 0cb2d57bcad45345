import type { LockWarning } from './events.ts'

/**
 * What becomes of warnings where there is no `onWarning`: the first of each type is shown on the console, since a program that nobody watches should
 * not fill its log with one that repeats.
 */
export function toConsole(): (warning: LockWarning) => void {
  const shown = new Set<string>()
  return ({ type, names, error }) => {
    if (shown.has(type)) return
    shown.add(type)
    const about = names.length ? ` (${names.map((name) => JSON.stringify(name)).join(', ')})` : ''
    console.warn(`storelock: ${type} warning${about}: ${error.message}. Shown once: pass onWarning to get every warning, or onWarning() {} for none.`)
  }
}
