import { constants } from 'node:os'
import { InvalidArgumentError, Option } from 'commander'
import { userStore } from './user-store.ts'

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/**
 * Parses a time such as `1.5`, `300ms`, `10s`, `5m`, `2h` or `1d`. Without a unit it is in seconds. @returns ms
 */
export function parseTime(text: string): number {
  const [, figure, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text) ?? []
  if (figure === undefined)
    throw new InvalidArgumentError('A time is a number with ms, s, m, h or d, such as 500ms, 10s or 5m; without a unit it is in seconds.')
  return Math.round(Number(figure) * (units[unit] as number))
}

/** Parses the name of a signal, with or without SIG. */
export function parseSignal(text: string): NodeJS.Signals {
  const name = `SIG${text.toUpperCase().replace(/^SIG/, '')}`
  if (!(name in constants.signals)) throw new InvalidArgumentError('A signal is a name such as TERM or USR1.')
  return name as NodeJS.Signals
}

export function parseCode(text: string): number {
  const code = Number(text)
  if (!/^\d+$/.test(text) || code > 255) throw new InvalidArgumentError('An exit code is a whole number from 0 to 255.')
  return code
}

export function parseCount(text: string): number {
  const count = Number(text)
  if (!/^[1-9]\d*$/.test(text) || !Number.isSafeInteger(count)) throw new InvalidArgumentError('It must be a whole number from 1.')
  return count
}

export function parsePort(text: string): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError('A port is a whole number from 0 to 65535; 0 is a free one.')
  return port
}

/** Options that every command has. */
export interface Common {
  readonly store: string
  readonly json?: true
}

/** Makes the option `--store`; each command needs its own. */
export const storeOption = (): Option =>
  new Option(
    '-s, --store <place>',
    'a SQLite file, user: for a file of yours that is the same from everywhere, the URL of a lock server, or a postgres://, redis:// or etcd:// address',
  )
    .env('STORELOCK_STORE')
    .default('./storelock.db')
    .argParser((place) => userStore(place) ?? place)

export const jsonOption = (): Option => new Option('--json', 'print JSON, for programs')

/** A part of a command's help. */
export const examples = (...lines: readonly string[]): string => `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`
