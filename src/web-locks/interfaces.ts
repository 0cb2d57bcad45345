import { assertFullyActive } from '../locks/request.ts'
import type { HeldLock, LockInfo, Locks } from '../locks/types.ts'
import { lockOptions, requestArguments } from '../locks/webidl.ts'

/** Lets this module call the constructors. For all other code they are illegal, as those of interfaces are. */
const pass = Symbol()

/** `Lock`, as the specification of Web Locks defines it. */
class Lock {
  readonly #name: string
  readonly #mode: LockMode

  constructor(...args: unknown[]) {
    const [held] = allowed<HeldLock>(args)
    this.#name = held.name
    this.#mode = held.mode
  }

  get name(): string {
    return this.#name
  }

  get mode(): LockMode {
    return this.#mode
  }
}

/** `LockManager`, as the specification of Web Locks defines it. */
class LockManager {
  readonly #locks: Pick<Locks, 'request' | 'query'>

  constructor(...args: unknown[]) {
    const [locks] = allowed<Locks>(args)
    this.#locks = locks
  }

  async request(...args: unknown[]): Promise<unknown> {
    const locks = this.#locks
    const { name, options, callback } = requestArguments(args, lockOptions)
    assertFullyActive()
    return await locks.request(name, options, (held) => callback(held && new Lock(pass, held)))
  }

  async query(): Promise<LockManagerSnapshot> {
    const locks = this.#locks
    assertFullyActive()
    const { held, pending } = await locks.query()
    return { held: held.map(shown), pending: pending.map(shown) }
  }
}

/** Makes a lock manager of any locks. */
export const managerOf = (locks: Locks): globalThis.LockManager => new LockManager(pass, locks) as globalThis.LockManager

function allowed<T>([given, value]: unknown[]): [T] {
  if (given !== pass) throw new TypeError('Illegal constructor')
  return [value as T]
}

const shown = ({ name, mode, clientId }: LockInfo): globalThis.LockInfo => ({ clientId, mode, name })

/**
 * As Web IDL defines it: an interface keeps its name in minified code, its members are enumerable, its name is its tag, and `request` reports the
 * number of required arguments.
 */
function likeInterface(name: string, made: { readonly prototype: object }): void {
  const { prototype } = made
  Object.defineProperty(made, 'name', { value: name, configurable: true })
  Object.defineProperty(prototype, Symbol.toStringTag, { value: name, configurable: true })
  for (const [member, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
    if (member === 'constructor') continue
    Object.defineProperty(prototype, member, { ...descriptor, enumerable: true })
    if (member === 'request') Object.defineProperty(descriptor.value, 'length', { value: 2, configurable: true })
  }
}

likeInterface('Lock', Lock)
likeInterface('LockManager', LockManager)

export const interfaces = { LockManager, Lock }
