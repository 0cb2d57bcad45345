import { makeAllowance } from './allowance.ts'
import { visible } from './visible.ts'

/** Most urgent first. */
export const reportLevels = ['error', 'warn', 'info', 'debug'] as const
export type ReportLevel = (typeof reportLevels)[number]

/** The server's own log for operators. */
export interface ReportOptions {
  /** Less urgent lines are left out. Default `info`. */
  readonly level?: ReportLevel | undefined
  /** Gets a line of JSON without a line break. */
  readonly write: (line: string) => void
}

export interface Report {
  /** Whether lines of this level are written at all. */
  hears(level: ReportLevel): boolean
  /** @param fields no secrets: texts are cut, and their control characters escaped */
  tell(level: ReportLevel, event: string, fields?: Fields): void
  /** The same for events that clients cause. Each client's warnings and errors are limited per second; the next line has the number left out. */
  tellOf(who: string, level: ReportLevel, event: string, fields: Fields): void
}

type Fields = Readonly<Record<string, string | number | undefined>>

/** The longest text of a field, in characters. */
const longest = 512
/** How many warnings and errors a second are written per client or address. */
const rate = 20

const short = (value: string | number | undefined) => (typeof value === 'string' && value.length > longest ? `${value.slice(0, longest)}…` : value)

export function makeReport(options: ReportOptions | undefined): Report {
  if (!options) return { hears: () => false, tell() {}, tellOf() {} }
  const { level: least = 'info', write } = options
  const most = reportLevels.indexOf(least)
  const allowance = makeAllowance(rate)
  const leftOut = new Map<string, number>()

  const hears = (level: ReportLevel): boolean => reportLevels.indexOf(level) <= most

  const tell: Report['tell'] = (level, event, fields = {}) => {
    if (!hears(level)) return
    const cut = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, short(value)]))
    write(visible(JSON.stringify({ at: new Date().toISOString(), level, event, ...cut })))
  }

  return {
    hears,
    tell,
    tellOf(who, level, event, fields) {
      if (level === 'debug' || level === 'info') return tell(level, event, fields)
      if (allowance(who)) {
        const before = leftOut.get(who)
        leftOut.delete(who)
        tell(level, event, { ...fields, leftOut: before })
      } else if (leftOut.size < 10_000 || leftOut.has(who)) leftOut.set(who, (leftOut.get(who) ?? 0) + 1)
    },
  }
}
