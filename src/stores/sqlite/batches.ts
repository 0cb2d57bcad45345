import type { Command, Outcome } from '../../protocol/index.ts'
import type { Alongside, SqliteDatabase } from './driver.ts'
import { whenIdle } from './idle.ts'

interface Batch {
  readonly commands: readonly Command[]
  readonly alongside: Alongside | undefined
  resolve(outcomes: Outcome[]): void
  reject(error: unknown): void
}

const writes = ({ alongside }: Batch): boolean => alongside !== undefined

/** Whether a command keeps or frees a lock. */
const isOfHolder = (command: Command): boolean =>
  command.type === 'renew' || command.type === 'release' || (command.type === 'beat' && !command.opens)

/**
 * Keeps batches of commands while the database is busy. Once it is free, all waiting batches are carried out in order, as one.
 * @param carryOut carries them out at once, and throws if the database is busy; `again` if an earlier attempt failed, `alongside` writes in the same
 * transaction
 * @param explain makes the error that callers get
 */
export function makeBatches(
  db: SqliteDatabase,
  carryOut: (commands: readonly Command[], again: boolean, alongside: ((outcomes: readonly Outcome[]) => void) | undefined) => Outcome[],
  explain: (error: unknown) => unknown,
): (commands: readonly Command[], alongside?: Alongside) => Promise<Outcome[]> {
  const waiting: Batch[] = []
  let hurry = (): void => {}

  /** Lets each batch write its other rows, given the outcomes of its commands. */
  const writeAlongside = (outcomes: readonly Outcome[]): void => {
    let from = 0
    for (const { commands, alongside } of waiting) {
      alongside?.(db, outcomes.slice(from, from + commands.length))
      from += commands.length
    }
  }

  const serve = (again: boolean): Outcome[] => {
    const commands = waiting.length === 1 ? (waiting[0] as Batch).commands : waiting.flatMap(({ commands }) => commands)
    return carryOut(commands, again, waiting.some(writes) ? writeAlongside : undefined)
  }

  const answer = (outcomes: Outcome[]): void => {
    if (waiting.length === 1) waiting.pop()?.resolve(outcomes)
    else for (const { commands, resolve } of waiting.splice(0)) resolve(outcomes.splice(0, commands.length))
  }

  const fail = (error: unknown): void => {
    for (const { reject } of waiting.splice(0)) reject(explain(error))
  }

  // Commands that keep or free a lock make shorter pauses than requests.
  const patience = { isUrgent: (): boolean => waiting.some(({ commands }) => commands.some(isOfHolder)) }

  return (commands, alongside) =>
    new Promise((resolve, reject) => {
      if (waiting.push({ commands, alongside, resolve, reject }) === 1) hurry = whenIdle(serve, answer, fail, patience)
      else hurry()
    })
}
