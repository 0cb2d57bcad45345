import pc from 'picocolors'

/** Colours for the output: none unless it is a terminal, or if `NO_COLOR` is set. */
export const colours = pc.createColors(process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb')

export const print = (line: string): void => void process.stdout.write(`${line}\n`)

/** For people, besides what the command itself prints. */
export const say = (line: string): void => void process.stderr.write(`storelock: ${line}\n`)

/** One JSON document on one line. */
export const printJson = (value: unknown): void => print(JSON.stringify(value))

/** A table without borders. */
export async function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): Promise<string> {
  const { default: Table } = await import('cli-table3')
  const none = [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
  ]
  const table = new Table({
    head: head.map((title) => colours.bold(title)),
    chars: { ...Object.fromEntries(none.map((name) => [name, ''])), middle: '  ' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  })
  table.push(...rows.map((row) => [...row]))
  return table.toString().replace(/ +$/gm, '')
}

const steps = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'm'],
  [1_000, 's'],
] as const

/** A time in ms, for people: `2m 5s`. */
export function inWords(ms: number): string {
  const at = steps.findIndex(([length]) => ms >= length)
  if (at < 0) return ms > 0 ? `${(ms / 1_000).toFixed(1)}s` : '0s'
  const [length, unit] = steps[at] as (typeof steps)[number]
  const whole = Math.floor(ms / length)
  const [lower, lowerUnit] = steps[at + 1] ?? [0, '']
  const rest = lower ? Math.floor((ms - whole * length) / lower) : 0
  return rest ? `${whole}${unit} ${rest}${lowerUnit}` : `${whole}${unit}`
}
