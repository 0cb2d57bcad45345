import { type Command, LockError, type Outcome, type PlainView, viewOfPlain } from '../../protocol/index.ts'
import type { ApplyBody, ApplyReply, WireCommand, WireOutcome } from '../../server/wire.ts'
import type { Topics } from './topics.ts'

/** How many commands go in one request: as many as servers accept. */
const maxCommands = 1_000
/** How many bytes of commands go in one request, approximately. */
const maxBytes = 500_000
/** The first and the longest pause before a failed request without commands is repeated, in ms. */
const noticePauses = { first: 100, longest: 5_000 }

interface Letter {
  readonly commands: readonly Command[]
  resolve(outcomes: Outcome[]): void
  reject(error: unknown): void
}

const outcomeOf = (sent: WireOutcome): Outcome => ('record' in sent ? { ...sent, record: viewOfPlain(sent.record) } : sent)

interface Errands {
  send(body: ApplyBody, keepalive: boolean): Promise<ApplyReply>
  /** The topics of the event stream, which the server has to know. */
  readonly topics: Pick<Topics, 'take' | 'told' | 'untold'>
  /** Reads the record of a key that an answer had no room for. */
  look(key: string): Promise<PlainView>
  /** Finds the lockTokens that commands need and this store does not know. */
  lookUp(commands: readonly Command[]): Promise<void>
  /** Adds lockTokens to a command. */
  dress(command: Command): WireCommand
  /** Called with every reply before the commands' promises resolve. */
  arrived(commands: readonly Command[], reply: ApplyReply): void
}

/** Sends batches in order, one request at a time. Commands that are added meanwhile go with the next request. */
export interface Post {
  /** Identifies this store to the server. */
  readonly sender: string
  apply(commands: readonly Command[]): Promise<Outcome[]>
  /** Soon tells the server what it does not know yet, such as topics. */
  say(): void
  close(): void
}

export function makePost({ send, topics, look, lookUp, dress, arrived }: Errands): Post {
  const sender = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => (byte % 36).toString(36)).join('')
  let waiting: Letter[] = []
  let busy = false
  let closed = false
  let batch = 0
  /** Batches up to this number are void, because their callers have given up. */
  let given = 0
  /** Whether there is something to send without a command. */
  let unsaid = false
  let failures = 0

  const post = async (commands: readonly Command[], keepalive: boolean): Promise<Outcome[]> => {
    const number = ++batch
    const said = topics.take()
    try {
      // A page that is going away has no time to look up lockTokens, and the end of its session releases everything anyway.
      if (!keepalive) await lookUp(commands)
      const sent = await send({ commands: commands.map(dress), sender, batch: number, void: given, ...(said && { topics: said }) }, keepalive)
      const reply = { ...sent, outcomes: await whole(commands, sent.outcomes, look) }
      if (said) topics.told(said)
      arrived(commands, reply)
      failures = 0
      return reply.outcomes.map(outcomeOf)
    } catch (error) {
      // If the batch arrives late, the server must not carry it out, because its callers are told that it failed.
      given = Math.max(given, number)
      if (said) topics.untold()
      unsaid ||= commands.some(({ type }) => type === 'request' || type === 'pin')
      throw error
    }
  }

  /** Sends parts one after another, because a server accepts only so many commands at once. */
  const postAll = async (commands: readonly Command[], keepalive: boolean): Promise<Outcome[]> => {
    const outcomes: Outcome[] = []
    for (const part of partsOf(commands)) outcomes.push(...(await post(part, keepalive)))
    return outcomes
  }

  const deliver = async (letters: readonly Letter[], keepalive: boolean): Promise<void> => {
    try {
      const outcomes = await postAll(
        letters.flatMap(({ commands }) => commands),
        keepalive,
      )
      for (const { commands, resolve } of letters) resolve(outcomes.splice(0, commands.length))
    } catch (error) {
      for (const { reject } of letters) reject(error)
    }
  }

  const work = async (): Promise<void> => {
    if (busy) return
    busy = true
    // All commands of one turn of the event loop go together.
    await Promise.resolve()
    while (!closed && (waiting.length || unsaid)) {
      unsaid = false
      const letters = waiting
      waiting = []
      if (letters.length) await deliver(letters, false)
      else await post([], false).catch(() => sayLater())
    }
    busy = false
  }

  const say = (): void => {
    if (closed) return
    unsaid = true
    work()
  }

  const sayLater = (): void => {
    const pause = Math.min(noticePauses.first * 2 ** failures++, noticePauses.longest)
    const timer: unknown = setTimeout(say, pause)
    if (typeof timer === 'object') (timer as { unref(): void }).unref()
  }

  return {
    sender,
    apply: (commands) =>
      new Promise((resolve, reject) => {
        waiting.push({ commands, resolve, reject })
        // A session that ends may have no next turn of the event loop, so its commands go at once.
        if (commands.some((command) => command.type === 'end' && command.seq === undefined)) deliver(waiting.splice(0), true)
        else work()
      }),
    say,
    close() {
      closed = true
      for (const { reject } of waiting.splice(0)) reject(new LockError('closed', 'the store was closed'))
    },
  }
}

/** Adds the records that servers leave out when a later outcome of the same key has them. */
async function whole(
  commands: readonly Command[],
  outcomes: readonly WireOutcome[],
  look: (key: string) => Promise<PlainView>,
): Promise<readonly WireOutcome[]> {
  const lacks = (outcome: WireOutcome): boolean => 'grants' in outcome && !outcome.record
  if (!outcomes.some(lacks)) return outcomes
  const records = new Map<string, PlainView>()
  for (const outcome of outcomes) if ('grants' in outcome && outcome.record) records.set(outcome.record.key, outcome.record)
  const found: WireOutcome[] = []
  for (const [index, outcome] of outcomes.entries()) {
    if (!lacks(outcome)) {
      found.push(outcome)
      continue
    }
    const { key } = commands[index] as { key: string }
    const record = records.get(key) ?? (await look(key))
    records.set(key, record)
    found.push({ ...outcome, record } as WireOutcome)
  }
  return found
}

/** Splits commands into parts that a server accepts. */
function partsOf(commands: readonly Command[]): (readonly Command[])[] {
  if (commands.length <= 16) return [commands]
  const parts: Command[][] = []
  let bytes = Infinity
  for (const command of commands) {
    const size = JSON.stringify(command).length
    if (bytes + size > maxBytes || (parts.at(-1)?.length ?? 0) >= maxCommands) {
      parts.push([])
      bytes = 0
    }
    parts.at(-1)?.push(command)
    bytes += size
  }
  return parts
}
