import { holdersOf, type Key, queueOf, type State } from './state.ts'

/** A hold or a place in a queue. */
export interface Entry {
  readonly key: Key
  readonly session: string
  readonly number: number
  /** Only a hold has one. */
  readonly token?: number
}

/** Whether a session has a row: without one, its holds and places are void. */
export const isOpen = (state: State, { session }: { session: string }): boolean => state.rows[session] !== undefined

export const nameOf = ({ key, session, number }: Entry): string => `request ${number} of ${session} for ${key}`

export const waitersOf = (state: State, key: Key): Entry[] =>
  queueOf(state, key).flatMap(({ session, from, to }) =>
    Array.from({ length: to - from + 1 }, (_, index) => ({ key, session, number: from + index })),
  )

export const entriesOf = (state: State, key: Key): Entry[] => [
  ...holdersOf(state, key).map(({ session, number, token }) => ({ key, session, number, token })),
  ...waitersOf(state, key),
]
