import type { Command, Outcome } from '../protocol/index.ts'
import type { Store } from '../store.ts'

interface Batch {
  readonly commands: readonly Command[]
  resolve(outcomes: Outcome[]): void
  reject(error: unknown): void
}

/** Gives a store the batches that come in one turn of the event loop in one go: many clients' commands make one transaction. */
export function gather(store: Pick<Store, 'apply'>): (commands: readonly Command[]) => Promise<Outcome[]> {
  let batches: Batch[] = []

  const apply = async (together: readonly Batch[]): Promise<void> => {
    try {
      const outcomes = await store.apply(together.flatMap(({ commands }) => commands))
      for (const { commands, resolve } of together) resolve(outcomes.splice(0, commands.length))
    } catch (error) {
      if (together.length === 1) together[0]?.reject(error)
      // What is wrong with one client's key is nothing to the others.
      else for (const batch of together) await apply([batch])
    }
  }

  return (commands) =>
    new Promise((resolve, reject) => {
      if (!batches.length) {
        setImmediate(() => {
          const together = batches
          batches = []
          apply(together)
        })
      }
      batches.push({ commands, resolve, reject })
    })
}
