import { checkDuration, checkName, LockError, type Policy, storedName } from '../protocol/index.ts'
import type { WireCommand } from './wire.ts'

type Asking = Extract<WireCommand, { type: 'request' | 'renew' | 'beat' }>

/** What the server knows about a session since it was started: its last beat, and the namespaces with a policy in which it requested locks. */
interface Known {
  lease: number | undefined
  label: string | undefined
  readonly namespaces: Set<string>
}

/** Checks the policies of namespaces: for requests in them, and for the sessions whose beats keep their locks. */
export class Policies {
  readonly #policies: Readonly<Record<string, Policy>>
  readonly #any: boolean
  readonly #sessions = new Map<string, Known>()

  constructor(policies: Readonly<Record<string, Policy>> = {}) {
    this.#policies = policies
    this.#any = Object.keys(policies).length > 0
  }

  /** Why a command breaks a policy, in words. */
  faultOf(command: WireCommand): string | undefined {
    if (command.type !== 'request' && command.type !== 'renew' && command.type !== 'beat') return undefined
    try {
      this.#check(command)
      return undefined
    } catch (error) {
      if (error instanceof LockError || error instanceof RangeError) return error.message
      throw error
    }
  }

  /** A command was carried out. */
  saw(command: WireCommand): void {
    if (!this.#any) return
    const { type } = command
    if (type === 'end') this.#sessions.delete(command.session)
    if (type !== 'beat' && type !== 'request') return
    const known = this.#sessions.get(command.session) ?? { lease: undefined, label: undefined, namespaces: new Set() }
    this.#sessions.set(command.session, known)
    if (type === 'request') {
      const { namespace } = storedName(command.key)
      // Namespaces without a policy need no check, however many there are.
      if (this.#policyOf(namespace)) known.namespaces.add(namespace)
    } else {
      // A lease never becomes shorter.
      known.lease = Math.max(known.lease ?? 0, command.lease)
      known.label = command.label
    }
  }

  /** How many sessions, and how many namespaces of each, are known. */
  get size(): number {
    return [...this.#sessions.values()].reduce((sum, { namespaces }) => sum + 1 + namespaces.size, 0)
  }

  /** Forgets a session that has ended. */
  forget(session: string): void {
    this.#sessions.delete(session)
  }

  #check(command: Asking): void {
    const known = this.#sessions.get(command.session)
    if (command.type === 'beat') {
      for (const namespace of known?.namespaces ?? []) this.#checkSession(namespace, command.lease, command.label)
      return
    }
    const { namespace, name } = storedName(command.key)
    const policy = this.#policyOf(namespace)
    if (!policy) return
    if (command.type === 'request') checkName(policy, name, known?.label)
    const lease = command.lease ?? (command.type === 'request' ? known?.lease : undefined)
    if (lease !== undefined) checkLease(policy, lease)
  }

  #checkSession(namespace: string, lease: number, label: string | undefined): void {
    const policy = this.#policyOf(namespace)
    if (!policy) return
    checkLease(policy, lease)
    const reason = policy.checkHolder?.(label)
    if (reason !== undefined) throw new LockError('invalid', `the policy refuses the session: ${reason}`)
  }

  #policyOf(namespace: string): Policy | undefined {
    return Object.hasOwn(this.#policies, namespace) ? this.#policies[namespace] : undefined
  }
}

/** A lease is a third longer than its duration. */
const checkLease = (policy: Policy, lease: number): void => checkDuration(policy, Math.floor((lease * 3) / 4))
