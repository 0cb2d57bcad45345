import type { Mode } from '../protocol/index.ts'
import { abortSignal } from './abort.ts'
import type { RequestOptions } from './types.ts'

/** How the members of a dictionary are converted. @throws TypeError if a value cannot be converted */
export type Members<Options> = { readonly [Name in keyof Options]-?: (value: unknown) => NonNullable<Options[Name]> }

/** The arguments of `request` after conversion. */
export interface RequestArguments<Options> {
  readonly name: string
  readonly options: Options
  readonly callback: (lock: unknown) => unknown
}

/** The members of `LockOptions` in the specification of Web Locks, with their names there. */
export interface LockOptions {
  ifAvailable?: boolean
  mode?: Mode
  signal?: AbortSignal
  steal?: boolean
}

/** WebIDL's conversion to a string of any code units. */
const domString = (value: unknown): string => `${value}`

const lockMode = (value: unknown): Mode => {
  const mode = domString(value)
  if (mode !== 'exclusive' && mode !== 'shared') throw new TypeError(`mode is 'exclusive' or 'shared', not ${JSON.stringify(mode)}`)
  return mode
}

export const lockOptions: Members<LockOptions> = { ifAvailable: Boolean, mode: lockMode, signal: abortSignal, steal: Boolean }

const asItIs = <T>(value: unknown): T => value as T

/** The options of a Web-Locks-shaped call: those of the specification, and ours. */
export const requestOptions: Members<RequestOptions> = {
  ...lockOptions,
  ask: asItIs,
  grace: asItIs,
  ifNoQueue: Boolean,
  maxHold: asItIs,
  onReleaseRequested: asItIs,
  timeout: asItIs,
}

/**
 * Converts the arguments of `request` as WebIDL does: a name and a callback, or a name, options and a callback. Each member is read once, in the
 * order of their names.
 * @throws TypeError, or any error of a conversion
 */
export function requestArguments<Options extends object>(args: readonly unknown[], members: Members<Options>): RequestArguments<Options> {
  if (args.length < 2) throw new TypeError(`request needs a name and a callback; it was given ${args.length} of them`)
  const name = domString(args[0])
  const options = args.length > 2 ? dictionary(args[1], members) : ({} as Options)
  const callback = args.length > 2 ? args[2] : args[1]
  if (typeof callback !== 'function') throw new TypeError('the callback must be a function')
  return { name, options, callback: callback as RequestArguments<Options>['callback'] }
}

function dictionary<Options extends object>(value: unknown, members: Members<Options>): Options {
  const options = {} as Options
  if (value === undefined || value === null) return options
  if (typeof value !== 'object' && typeof value !== 'function') throw new TypeError('the options must be an object')
  for (const name of Object.keys(members).sort() as (keyof Options & string)[]) {
    const member = (value as Options)[name]
    if (member !== undefined) options[name] = members[name](member)
  }
  return options
}
