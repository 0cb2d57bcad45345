import type { Command, Outcome } from '../protocol/index.ts'
import type { Notes } from '../stores/remote/notes.ts'
import type { Alongside } from '../stores/sqlite/driver.ts'
import type { Caller } from './access.ts'
import { whoOf } from './budgets.ts'
import { entriesOf } from './entries.ts'
import type { Log } from './log.ts'

/** A batch of more commands than this is sent in pieces. */
const each = 16

interface Batch {
  readonly commands: readonly Command[]
  readonly caller: Caller | undefined
  resolve(outcomes: Outcome[]): void
  reject(error: unknown): void
}

/** The most commands of one credential in one transaction: if it is alone, and if other credentials have commands too. */
const share = { alone: 128, together: 16 }

/**
 * Combines the batches that arrive in one turn of the event loop, so that the commands of many clients share one transaction. Each credential has a
 * share of it, and the rest of a long batch goes into the next one. The same transaction logs what the commands did.
 * @returns a function that carries out the commands of a caller, or the server's own if there is no caller
 */
export function gather(
  store: { apply(commands: readonly Command[], alongside?: Alongside | Notes): Promise<Outcome[]> },
  log: Pick<Log, 'within'>,
): (commands: readonly Command[], caller?: Caller) => Promise<Outcome[]> {
  const lines = new Map<string, Batch[]>()

  const apply = async (together: readonly Batch[]): Promise<void> => {
    const sent = together.flatMap(({ commands, caller }) => commands.map((command) => ({ command, caller })))
    const commands = sent.map(({ command }) => command)
    const noted = log.within((outcome, index) => entriesOf(commands[index] as Command, outcome, sent[index]?.caller))
    try {
      const outcomes = await store.apply(commands, noted.alongside)
      noted.done(outcomes)
      for (const { commands, resolve } of together) resolve(outcomes.splice(0, commands.length))
    } catch (error) {
      if (together.length === 1) together[0]?.reject(error)
      // An error in one client's key must not affect the other clients.
      else for (const batch of together) await apply([batch])
    }
  }

  const sendSome = (): void => {
    const together: Batch[] = []
    const most = lines.size > 1 ? share.together : share.alone
    for (const [who, line] of lines) {
      let left = most
      while (line[0] && (left === most || line[0].commands.length <= left)) {
        left -= line[0].commands.length
        together.push(line.shift() as Batch)
      }
      if (!line.length) lines.delete(who)
    }
    apply(together)
    if (lines.size) setImmediate(sendSome)
  }

  const send = (commands: readonly Command[], caller: Caller | undefined): Promise<Outcome[]> =>
    new Promise((resolve, reject) => {
      const who = caller ? whoOf(caller) : ''
      // Wait until all batches that arrived together have been judged.
      if (!lines.size) process.nextTick(sendSome)
      const line = lines.get(who) ?? []
      lines.set(who, line)
      line.push({ commands, caller, resolve, reject })
    })

  return async (commands, caller) => {
    if (commands.length <= each) return await send(commands, caller)
    const outcomes: Outcome[] = []
    // In order: a later command of a batch may undo an earlier one.
    for (let from = 0; from < commands.length; from += each) outcomes.push(...(await send(commands.slice(from, from + each), caller)))
    return outcomes
  }
}
