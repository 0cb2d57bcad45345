import { printJson, printTable } from '../output.ts'
import { withoutSecret } from '../place.ts'
import type { Config } from './config.ts'
import { settings } from './settings.ts'

const units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
] as const

/** A time in the form of the file. */
function timeOf(ms: number): string {
  const [unit, length] = units.find(([, length]) => ms > 0 && ms % length === 0) ?? ['ms', 1]
  return `${ms / length}${unit}`
}

/** Prints the effective settings, with the source of each; as JSON in the form of the file of `--config`. */
export async function printConfig(config: Config, json: boolean, env: NodeJS.ProcessEnv): Promise<void> {
  const written = new Map<string, unknown>()
  for (const { name, kind } of settings) {
    const value = config.get(name)?.value
    if (name === 'store') written.set(name, withoutSecret(value as string))
    else if (value !== undefined) written.set(name, kind === 'time' ? timeOf(value as number) : kind === 'policies' ? policiesOf(value) : value)
  }
  if (json) {
    printJson(nested(written))
    return
  }
  const rows = [...written].map(([name, value]) => [
    ...[name, typeof value === 'object' ? JSON.stringify(value) : String(value)],
    config.get(name)?.from ?? '',
  ])
  if (env.STORELOCK_SECRET) rows.push(['secret', '(hidden)', 'STORELOCK_SECRET'])
  await printTable(['setting', 'value', 'from'], rows)
}

const policiesOf = (policies: unknown): object =>
  Object.fromEntries(
    Object.entries(policies as Record<string, Record<string, number>>).map(([namespace, policy]) => [
      namespace,
      Object.fromEntries(Object.entries(policy).map(([name, ms]) => [name, timeOf(ms)])),
    ]),
  )

function nested(flat: ReadonlyMap<string, unknown>): object {
  const whole: Record<string, unknown> = {}
  for (const [name, value] of flat) {
    const [group = '', part] = name.split('.')
    if (part === undefined) whole[group] = value
    else whole[group] = { ...(whole[group] as object), [part]: value }
  }
  return whole
}
