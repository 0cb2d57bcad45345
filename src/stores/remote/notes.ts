import type { Outcome } from '../../protocol/index.ts'

/** What a lock server notes of commands, in the same commit: then neither is kept without the other. */
export interface Notes {
  /** A statement that inserts rows, which it gets as one parameter, a text with a JSON array. It ends in a FROM. */
  readonly insertion: (parameter: string) => string
  /** The rows for a command's outcome. Called each time the batch is tried. */
  rowsOf(outcome: Outcome, index: number): readonly object[]
  /** The outcome of this command was committed together with its rows. */
  kept(index: number): void
}

/** The notes of one commit. */
export interface Noted {
  readonly insertion: Notes['insertion']
  readonly rows: readonly object[]
  /** They were written. */
  kept(): void
}
