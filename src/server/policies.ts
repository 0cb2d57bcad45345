import { checkDuration, checkName, LockError, type Policy, storedName } from '../protocol/index.ts'
import type { WireCommand } from './wire.ts'

/** Why a command breaks the policy of its namespace, in words. */
export function policyFault(policies: Readonly<Record<string, Policy>> | undefined, command: WireCommand): string | undefined {
  if (!policies || (command.type !== 'request' && command.type !== 'renew')) return undefined
  const { namespace, name } = storedName(command.key)
  const policy = Object.hasOwn(policies, namespace) ? policies[namespace] : undefined
  if (!policy) return undefined
  try {
    if (command.type === 'request') checkName(policy, name, undefined)
    // A lease is a third more than the duration that it stands for.
    if (command.lease !== undefined) checkDuration(policy, Math.floor((command.lease * 3) / 4))
    return undefined
  } catch (error) {
    if (error instanceof LockError || error instanceof RangeError) return error.message
    throw error
  }
}
