import { constants } from 'node:os'

const variable = 'STORELOCK_ENTRY'

/** Variables that shells add to the environment. */
export const setByShells: readonly string[] = ['PWD', 'OLDPWD', 'SHLVL']

/** What the program was started with, and Node changes or does not report. The command of a `run` gets it unchanged. */
export interface Entry {
  /** Signals that were ignored. */
  readonly ignored: readonly NodeJS.Signals[]
  /** Descriptors that were open; undefined if that is not known. */
  readonly open: readonly number[] | undefined
  /** The soft limits that a shell's `ulimit` knows by these letters. */
  readonly limits: Readonly<Record<string, string>>
}

const names = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name as NodeJS.Signals]))

/**
 * Reads what `storelock.cjs` has recorded, and removes it from the environment. It also restores variables that the shell has
 * dropped, and removes those that it has added.
 */
export function takeEntry(env: NodeJS.ProcessEnv = process.env, pid = process.pid): Entry {
  const lines = (env[variable] ?? '').split('\n').map((line): [string, string] => {
    const [word = ''] = line.split(' ', 1)
    return [word, line.slice(word.length + 1)]
  })
  delete env[variable]
  const all = (wanted: string): string[] => lines.flatMap(([word, rest]) => (word === wanted ? [rest] : []))
  const one = (wanted: string): string | undefined => all(wanted)[0]
  // The variable may come from an ancestor: then it is not about this process.
  if (one('pid') !== `${pid}`) return { ignored: [], open: undefined, limits: {} }
  for (const assignment of all('variable')) {
    const end = assignment.indexOf('=')
    // The shell has replaced each newline by a byte that no UTF-8 text contains.
    env[assignment.slice(0, end)] = assignment.slice(end + 1).replaceAll('\ufffd', '\n')
  }
  const given = one('given')?.split(' ')
  if (given) for (const name of setByShells) if (!given.includes(name)) delete env[name]
  const [files, core] = [one('files'), one('core')]
  return {
    ignored: [...signalsOf(BigInt(`0x${one('ignored') ?? 0}`)), ...all('ignores').map((name) => `SIG${name}` as NodeJS.Signals)],
    open: one('open')?.split(' ').map(Number),
    limits: { ...(files !== undefined && { n: files }), ...(core !== undefined && { c: core }) },
  }
}

/** The signals of a mask, in which the lowest bit is signal 1. */
function* signalsOf(mask: bigint): Iterable<NodeJS.Signals> {
  for (const [number, name] of names) if ((mask >> BigInt(number - 1)) & 1n) yield name
}
