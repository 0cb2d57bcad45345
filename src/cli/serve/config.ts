import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { z } from '../../server/libraries.ts'
import { parseTime } from '../args.ts'
import { Exit, exitCodes } from '../exit.ts'
import { isPostgres } from '../place.ts'
import { userStore } from '../user-store.ts'
import { envOf, flagOf, type Setting, settings, type Typed } from './settings.ts'

/** The effective value of a setting. */
interface Found {
  readonly value: unknown
  /** Its source, in words. */
  readonly from: string
}

export type Config = ReadonlyMap<string, Found>

const refuse = (from: string, why: string): Exit => new Exit(exitCodes.failed, `${from}: ${why}`)

/** A time with its unit, such as `10s`: the form of the file. */
const time = z.string('a time is a string such as "10s" or "30d"').transform((text, context) => {
  try {
    if (/\d$/.test(text)) throw new Error('a time needs a unit: ms, s, m, h or d')
    return parseTime(text)
  } catch (error) {
    context.addIssue((error as Error).message)
    return z.NEVER
  }
})

/** The schema of a setting in the file; values from elsewhere are converted to that form first. */
const schemaOf = ({ kind, choices = [] }: Setting): z.ZodType => {
  switch (kind) {
    case 'text':
    case 'file':
      return z.string('it must be a string').min(1, 'it must be a string')
    case 'list':
      return z
        .array(z.string('it must have strings').min(1, 'it must have strings'), 'it must be a list of strings')
        .min(1, 'it must have at least one string')
    case 'count':
      return z.int('it must be a whole number').min(1, 'it must be a whole number from 1')
    case 'time':
      return time
    case 'choice':
      return z.enum(choices, `it must be one of ${choices.join(', ')}`)
    case 'yes':
      return z.boolean('it must be true or false')
    case 'policies':
      return z.record(z.string(), z.strictObject({ minDuration: time.optional(), maxDuration: time.optional() }))
  }
}

/** Converts the text of a flag or a variable to the form of the file. */
function ofText({ kind }: Setting, text: string | readonly string[]): unknown {
  if (kind === 'list') return typeof text === 'string' ? text.split(/[\s,]+/).filter(Boolean) : text
  if (kind === 'count') return /^\d+$/.test(String(text)) ? Number(text) : text
  if (kind === 'yes') return text === 'true' ? true : text === 'false' ? false : text
  // On the command line a bare number is in seconds.
  if (kind === 'time') return /^[\d.]+$/.test(String(text)) ? `${text}s` : text
  return kind === 'policies' ? jsonOf(String(text)) : text
}

/** Combines the flags, the environment and the file, in this order of precedence. @throws Exit that names the source of an invalid value */
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
      // Paths in the file are relative to the file, wherever the server is started.
      if (kind === 'file' && userStore(String(found.value)) === undefined && !isPostgres(String(found.value)))
        found = { ...found, value: resolve(dirname(path as string), found.value as string) }
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

/** Reads a settings file. @returns its values by the names of settings */
function readFile(path: string): Map<string, unknown> {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new Exit(exitCodes.failed, `cannot read ${path}: ${(error as Error).message}`)
  }
  const whole = jsonOf(text)
  if (!isObject(whole)) throw refuse(path, 'it is not a JSON object such as { "listen": "127.0.0.1:7420", "limits": { "held": 100 } }')
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

/** Refuses misspelt variables of groups, such as limits. Other variables that begin with STORELOCK_ may belong to another program. @throws Exit */
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
