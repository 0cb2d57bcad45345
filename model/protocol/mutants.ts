import { type Changes, type Command, type Ground, type LockRecord, type Request, runBatch, type SessionRow, seqOf } from '../../src/protocol/index.ts'
import type { Rules } from './state.ts'

/** Rules that are each broken in one way. The model must detect every one. */
export const mutants: Readonly<Record<string, Rules>> = {
  'evidence ignores the counter': instead(({ command, ground }) => {
    if (command.type !== 'expire' || !('token' in command.evidence)) return command
    const { token } = command.evidence
    const holder = ground.record(command.key)?.holders.find((held) => held.token === token)
    return { ...command, evidence: { token, seq: holder ? counterOf(ground, holder) : undefined } }
  }),
  'evidence ignores the token': instead(({ command, ground }) => {
    if (command.type !== 'expire' || !('token' in command.evidence)) return command
    const { seq, token } = command.evidence
    const holder = ground.record(command.key)?.holders.find((held) => counterOf(ground, held) === seq)
    return { ...command, evidence: { seq, token: holder?.token ?? token } }
  }),
  'evidence about a waiter ignores the counter': instead(({ command, ground }) => {
    if (command.type !== 'expire' || !('number' in command.evidence)) return command
    const { session } = command.evidence
    return { ...command, evidence: { ...command.evidence, seq: ground.session(session)?.seq } }
  }),
  'evidence about a session ignores the counter': instead(({ command }) =>
    command.type === 'end' ? { type: 'end', session: command.session } : command,
  ),
  'a request with ifNoQueue waits behind others': instead(({ command }) =>
    command.type === 'request' && command.ifNoQueue ? { ...command, ifNoQueue: false } : command,
  ),
  'a pin protects no holder': seeing('expire', (record) => ({ ...record, pins: [] })),
  'a shared request passes a queued exclusive one': seeing(
    'request',
    (record, command) => (command.type === 'request' && command.mode === 'shared' && !isQueued(record, command) ? { ...record, queue: [] } : record),
    ({ queue }, after) => ({ ...after, queue: [...queue, ...after.queue.filter((run) => !queue.includes(run))] }),
  ),
  'a repeated request queues twice': seeing(
    'request',
    (record, command) => ({ ...record, queue: record.queue.filter(({ session }) => !('session' in command) || session !== command.session) }),
    (before, after, command) => ({
      ...after,
      queue: [...before.queue.filter(({ session }) => 'session' in command && session === command.session), ...after.queue],
    }),
  ),
  'a release grants the lock to no waiter': seeing(
    'release',
    (record) => ({ ...record, queue: [] }),
    ({ queue }, after) => ({ ...after, queue }),
  ),
  'a withdrawal forgets what was granted': seeing(
    'withdraw',
    (record) => ({ ...record, holders: [] }),
    ({ holders }, after) => ({ ...after, holders }),
  ),
  'the last waiter is granted first': seeing('release', (record) => ({ ...record, queue: [...record.queue].reverse() })),
  'a shared request joins an exclusive holder': seeing(
    'request',
    (record, command) =>
      command.type === 'request' && command.mode === 'shared'
        ? { ...record, holders: record.holders.map((holder) => ({ ...holder, mode: 'shared' })) }
        : record,
    ({ holders }, after) => ({ ...after, holders: after.holders.map((holder) => holders.find(({ token }) => token === holder.token) ?? holder) }),
  ),
  'any session may release': asOwner('release'),
  'any session may renew': asOwner('renew'),
  'tokens start again after a sweep': (commands, ground) => ({ ...runBatch(commands, ground), floor: undefined }),
  'tokens start again after a release': seeing(
    'release',
    (record) => record,
    (_, after) => ({ ...after, token: 0 }),
  ),
  'a beat raises no counter': keeping('seq', 'beat'),
  'a renewal raises no counter': keeping('seq', 'renew'),
  'evictions are not counted': keeping('evictions'),
  'a beat reopens an ended session': instead(({ command }) => (command.type === 'beat' ? { ...command, opens: true } : command)),
}

/** Mutants that show only if two sessions may hold a lock. */
export const limitMutants: Readonly<Record<string, Rules>> = {
  'one more session than the limit allows holds the lock': seeing(
    'request',
    (record, command) => ({ ...record, holders: isLimited(command) ? record.holders.slice(1) : record.holders }),
    ({ holders: [first] }, after, command) => ({ ...after, holders: first && isLimited(command) ? [first, ...after.holders] : after.holders }),
  ),
  'a request with a limit joins an exclusive holder': seeing(
    'request',
    (record, command) => ({
      ...record,
      holders: record.holders.map((holder) => (isLimited(command) ? { ...holder, limit: command.limit } : holder)),
    }),
    ({ holders }, after) => ({ ...after, holders: after.holders.map((holder) => holders.find(({ token }) => token === holder.token) ?? holder) }),
  ),
  'a place that one of two holders releases is granted to no waiter': seeing(
    'release',
    (record) => ({ ...record, queue: record.holders[0]?.limit ? [] : record.queue }),
    ({ queue, holders }, after) => ({ ...after, queue: holders[0]?.limit ? queue : after.queue }),
  ),
  'a steal takes the lock from holders with a limit': seeing('request', (record, command) => ({
    ...record,
    holders: record.holders.map((holder) => (command.type === 'request' && command.steal ? { ...holder, limit: undefined } : holder)),
    queue: record.queue,
  })),
}

const isLimited = (command: Command): command is Request & { readonly limit: number } => command.type === 'request' && command.limit !== undefined

interface Case {
  readonly command: Command
  readonly ground: Ground
}

const isQueued = ({ queue }: LockRecord, { session, number }: Request): boolean =>
  queue.some((run) => run.session === session && run.from <= number && number <= run.to)

const counterOf = (ground: Ground, holder: LockRecord['holders'][number]): number | undefined => {
  const row = ground.session(holder.session)
  return seqOf(holder, new Map(row && [[row.id, row]]))
}

/** Carries out another command instead of the given one. */
function instead(other: (given: Case) => Command): Rules {
  return (commands, ground) =>
    runBatch(
      commands.map((command) => other({ command, ground })),
      ground,
    )
}

/** Treats a command as the owner's, whichever session sends it. */
function asOwner(type: 'release' | 'renew'): Rules {
  return instead(({ command, ground }) => {
    if (command.type !== type) return command
    const owner = ground.record(command.key)?.holders.find(({ token }) => token === command.token)?.session
    return { ...command, session: owner ?? command.session }
  })
}

/** Shows the rules a changed record, and corrects the result. */
function seeing(
  type: Command['type'],
  show: (record: LockRecord, command: Command) => LockRecord,
  mend: (before: LockRecord, after: LockRecord, command: Command) => LockRecord = (_, after) => after,
): Rules {
  return (commands, ground): Changes => {
    const [command] = commands
    if (command?.type !== type || !('key' in command)) return runBatch(commands, ground)
    const before = ground.record(command.key)
    if (!before) return runBatch(commands, ground)
    const changes = runBatch(commands, { ...ground, record: () => show(before, command) })
    const after = changes.records.get(command.key)
    return after ? { ...changes, records: new Map([[command.key, mend(before, after, command)]]) } : changes
  }
}

/** Keeps a counter in a session's row unchanged. */
function keeping(counter: 'seq' | 'evictions', type?: Command['type']): Rules {
  return (commands, ground) => {
    const changes = runBatch(commands, ground)
    if (type && commands[0]?.type !== type) return changes
    const kept = (id: string, row: SessionRow | undefined): SessionRow | undefined => {
      const before = ground.session(id)
      return row && before ? { ...row, [counter]: before[counter] } : row
    }
    return { ...changes, sessions: new Map([...changes.sessions].map(([id, row]) => [id, kept(id, row)])) }
  }
}
