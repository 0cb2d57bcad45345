import type { Command, Outcome } from '../../src/protocol/index.ts'
import type { Step } from './moves.ts'
import { grantsOf, type Note } from './state.ts'

/** A move, in a line. */
export function tell({ move: { who, command, text, sees, meddles }, outcome }: Step): string {
  const does = [command && commandIn(command), sees && `notes of ${sees.key}: ${evidenceIn(sees.evidence)}`, text].filter(Boolean).join(', ')
  return `${who}${meddles ? ' (a stranger)' : ''}: ${does}${outcome ? ` -> ${outcomeIn(outcome)}` : ''}`
}

function commandIn(command: Command): string {
  const { type } = command
  switch (type) {
    case 'request':
      return `request ${command.number} for ${command.key}, ${command.mode}${command.limit ? `, limit ${command.limit}` : ''}${command.ifAvailable ? ', ifAvailable' : ''}${command.steal ? ', steal' : ''}`
    case 'renew':
    case 'release':
      return `${type} ${command.key}, token ${command.token}${'lease' in command && command.lease ? `, a lease of ${command.lease}` : ''}`
    case 'withdraw':
      return `withdraw request ${command.number} for ${command.key}`
    case 'expire':
      return `expire ${command.key}, ${evidenceIn(command.evidence)}`
    case 'revoke':
      return `revoke ${command.key}${command.session ? ` from ${command.session}` : ''}`
    case 'end':
      return `end ${command.session}${command.seq === undefined ? '' : `, seq ${command.seq}`}`
    case 'beat':
      return command.opens ? `open ${command.session}` : 'beat'
    case 'challenge':
      return `challenge ${command.session}`
    default:
      return `${type} ${command.key}`
  }
}

const evidenceIn = (evidence: Note['evidence']): string =>
  'token' in evidence
    ? `holder with token ${evidence.token}, seq ${evidence.seq}`
    : `waiter ${evidence.session} with request ${evidence.number}, seq ${evidence.seq}`

function outcomeIn(outcome: Outcome): string {
  const grants = grantsOf(outcome).map(({ session, token }) => `${session} has token ${token}`)
  const evicted = 'evicted' in outcome ? outcome.evicted.map(({ session, token }) => `${session} loses token ${token}`) : []
  return [outcome.type === 'refused' ? `refused: ${outcome.reason}` : outcome.type, ...evicted, ...grants].join(', ')
}
