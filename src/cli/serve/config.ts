import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import { parseTime } from '../args.ts'
import { Exit, exitCodes } from '../exit.ts'
import { envOf, flagOf, type Setting, settings, type Typed } from './settings.ts'

/** A setting as it counts. */
interface Found {
  readonly value: unknown
  /** Where it comes from, in words. */
  readonly from: string
}

export type Config = ReadonlyMap<string, Found>

const refuse = (from: string, why: string): Exit => new Exit(exitCodes.failed, `${from}: ${why}`)

/** A time as it is written everywhere: with a unit, since who reads a bare number has to guess. */
const time = z.string('a time is a text such as "10s" or "30d"').transform((text, context) => {
  try {
    if (/\d$/.test(text)) throw new Error('a time needs a unit: ms, s, m, h or d')
    return parseTime(text)
  } catch (error) {
    context.addIssue((error as Error).message)
    return z.NEVER
  }
})

/** The one schema: what each kind of setting may be in the file, and, once its text was taken apart, everywhere else. */
const schemaOf = ({ kind, choices = [] }: Setting): z.ZodType => {
  switch (kind) {
    case 'text':
    case 'file':
      return z.string('it takes a text').min(1, 'it takes a text')
    case 'list':
      return z.array(z.string('it takes texts').min(1, 'it takes texts'), 'it takes a list of texts').min(1, 'it takes at least one text')
    case 'count':
      return z.int('it takes a whole number').min(1, 'it takes a whole number from 1')
    case 'time':
      return time
    case 'choice':
      return z.enum(choices, `it takes one of ${choices.join(', ')}`)
    case 'yes':
      return z.boolean('it takes true or false')
    case 'policies':
      return z.record(z.string(), z.strictObject({ minDuration: time.optional(), maxDuration: time.optional() }))
  }
}

/** What a flag or a variable says, as it would stand in the file. */
function ofText({ kind }: Setting, text: string | readonly string[]): unknown {
  if (kind === 'list') return typeof text === 'string' ? text.split(/[\s,]+/).filter(Boolean) : text
  if (kind === 'count') return /^\d+$/.test(String(text)) ? Number(text) : text
  if (kind === 'yes') return text === 'true' ? true : text === 'false' ? false : text
  // On the command line a bare number is in seconds.
  if (kind === 'time') return /^[\d.]+$/.test(String(text)) ? `${text}s` : text
  return kind === 'policies' ? jsonOf(String(text)) : text
}

/** Puts together what was typed, what the environment says and what stands in the file, in this order. @throws Exit that names the source of what is wrong */
export function readConfig(typed: Typed, env: NodeJS.ProcessEnv): Config {
  const path = (typed.config as string | undefined) ?? (env.STORELOCK_CONFIG || undefined)
  const inFile = path === undefined ? new Map<string, unknown>() : readFile(path)
  refuseUnknown(env)
  const config = new Map<string, Found>()
  for (const setting of settings) {
    const { name, kind, default: standard } = setting
    const [flag, variable] = [typed[name], env[envOf(setting)]]
    let found: Found | undefined
    if (flag !== undefined) found = check(setting, ofText(setting, flag), flagOf(setting))
    else if (variable) found = check(setting, ofText(setting, variable), envOf(setting))
    else if (inFile.has(name)) {
      found = check(setting, inFile.get(name), `${name} in ${path}`)
      // Who starts the server, and where, is not the file's to know.
      if (kind === 'file') found = { ...found, value: resolve(dirname(path as string), found.value as string) }
    } else if (standard !== undefined) found = check(setting, standard, 'default')
    if (found) config.set(name, found)
  }
  return config
}

function check(setting: Setting, value: unknown, from: string): Found {
  const checked = schemaOf(setting).safeParse(value)
  if (checked.success) return { value: checked.data, from }
  const [issue] = checked.error.issues
  const inside = issue?.path.length ? ` at ${issue.path.join('.')}` : ''
  throw refuse(from, `${issue?.message ?? 'it is wrong'}${inside}, not ${JSON.stringify(value) ?? 'nothing'}`)
}

/** What stands in a file, by the names of settings. */
function readFile(path: string): Map<string, unknown> {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new Exit(exitCodes.failed, `cannot read ${path}: ${(error as Error).message}`)
  }
  const whole = jsonOf(text)
  if (!isObject(whole)) throw refuse(path, 'it is no JSON object, such as { "listen": "127.0.0.1:7420", "limits": { "held": 100 } }')
  const found = new Map<string, unknown>()
  const known = new Set(settings.map(({ name }) => name))
  const add = (name: string, value: unknown): void => {
    if (!known.has(name)) throw refuse(path, `there is no setting ${JSON.stringify(name)}: \`storelock serve --print-config\` shows all`)
    found.set(name, value)
  }
  for (const [name, value] of Object.entries(whole)) {
    const isGroup = settings.some((setting) => setting.name.startsWith(`${name}.`))
    if (isGroup && isObject(value)) for (const [part, each] of Object.entries(value)) add(`${name}.${part}`, each)
    else add(name, value)
  }
  return found
}

/** A misspelt limit is worse than none. What else begins with STORELOCK_ may be another program's. */
function refuseUnknown(env: NodeJS.ProcessEnv): void {
  const known = new Set(settings.map(envOf))
  const groups = /^STORELOCK_(LIMITS|LOG|TLS)_/
  const unknown = Object.keys(env).find((name) => groups.test(name) && !known.has(name))
  if (unknown) throw refuse(unknown, 'there is no such setting: `storelock serve --print-config` shows all')
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
