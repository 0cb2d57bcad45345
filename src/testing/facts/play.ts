import type { Command, LockView, Outcome, Request } from '../../protocol/index.ts'
import type { Store } from '../../store.ts'
import { outcome, truthy } from '../expect.ts'
import type { StorePlace } from '../place.ts'

interface Tools {
  readonly place: StorePlace
  /** Opens another store on the same place. */
  open(): Promise<Store>
}

export type Fact = (store: Store, tools: Tools) => Promise<void>

export const beat = (session: string): Command => ({ type: 'beat', session, client: `client of ${session}`, lease: 1_000, opens: true })

export const request = (session: string, number = 1, more: Partial<Request> = {}): Request => ({
  ...{ type: 'request', key: 'k', session, client: `client of ${session}`, number, mode: 'exclusive', confirm: 500 },
  ...more,
})

export const release = (session: string, token: number, key = 'k'): Command => ({ type: 'release', key, session, token })

/** Carries out one command. */
export const one = async (store: Store, command: Command): Promise<Outcome> => {
  const [only] = await store.apply([command])
  truthy(only, 'one outcome for one command')
  return only
}

/** Opens sessions; the first one holds the lock, and the others wait. @returns the holder's token */
export async function line(store: Store, ...sessions: string[]): Promise<number> {
  await store.apply(sessions.map(beat))
  const [first] = await store.apply(sessions.map((session) => request(session)))
  return outcome(first, 'granted').holder.token
}

export const queued = (view: LockView | undefined): string[] => (view?.queue ?? []).map(({ session, from, to }) => `${session} ${from}-${to}`)

/** Makes a session acquire the lock with tokens in reserve until they are some seconds ahead of the clock. @returns the last token */
export async function runAhead(store: Store, session: string): Promise<number> {
  const turns = Array.from({ length: 300 }, (_, turn): Command[] => [
    request(session, turn + 1, { reserve: 10_000 }),
    { type: 'withdraw', key: 'k', session, number: turn + 1 },
  ])
  await store.apply([beat(session), ...turns.flat()])
  const token = (await store.read('k'))?.token ?? 0
  truthy(token > 1_000 * (Date.now() + 1_000), 'a token that is ahead of the clock')
  return token
}

export const held = (view: LockView | undefined): string[] => (view?.holders ?? []).map(({ session }) => session)
