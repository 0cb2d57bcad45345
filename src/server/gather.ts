import type { Command, Outcome } from '../protocol/index.ts'
import type { Store } from '../store.ts'

/** How many commands of a batch go together; a longer batch goes in pieces. */
const each = 32

interface Batch {
  readonly commands: readonly Command[]
  resolve(outcomes: Outcome[]): void
  reject(error: unknown): void
}

/** How many commands of one credential are in one transaction, at most: alone, or together with those of others. */
const share = { alone: 128, together: 32 }

/**
 * Combines the batches that come in one turn of the event loop: many clients' commands make one transaction. Each credential has a share of it, and
 * the rest of a long batch goes with the next one.
 * @returns carries out the commands of a credential, or without one the server's own
 */
export function gather(store: Pick<Store, 'apply'>): (commands: readonly Command[], who?: string) => Promise<Outcome[]> {
  const lines = new Map<string, Batch[]>()

  const apply = async (together: readonly Batch[]): Promise<void> => {
    try {
      const outcomes = await store.apply(together.flatMap(({ commands }) => commands))
      for (const { commands, resolve } of together) resolve(outcomes.splice(0, commands.length))
    } catch (error) {
      if (together.length === 1) together[0]?.reject(error)
      // An error in one client's key must not affect the others.
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

  const send = (commands: readonly Command[], who: string): Promise<Outcome[]> =>
    new Promise((resolve, reject) => {
      // When everything that came together has been judged.
      if (!lines.size) process.nextTick(sendSome)
      const line = lines.get(who) ?? []
      lines.set(who, line)
      line.push({ commands, resolve, reject })
    })

  return async (commands, who = '') => {
    if (commands.length <= each) return await send(commands, who)
    const outcomes: Outcome[] = []
    // In order: a later command of a batch may undo an earlier one.
    for (let from = 0; from < commands.length; from += each) outcomes.push(...(await send(commands.slice(from, from + each), who)))
    return outcomes
  }
}
