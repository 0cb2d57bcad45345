import type { Outcome } from '../../protocol/index.ts'

/** What a lock server writes down about commands, in the same commit, so that neither is kept without the other. */
export interface Notes {
  /** A statement that inserts rows. It gets them as one text parameter with a JSON array, and ends with its FROM, so that a WHERE can follow. */
  readonly insertion: (parameter: string) => string
  /** The rows for a command's outcome. Called at each attempt to carry out the batch. */
  rowsOf(outcome: Outcome, index: number): readonly object[]
  /** Called once the outcome of this command is committed together with its rows. */
  kept(index: number): void
}

/** The notes of one commit. */
export interface Noted {
  readonly insertion: Notes['insertion']
  readonly rows: readonly object[]
  /** Called once the rows are committed. */
  kept(): void
}
