import type { Store } from 'storelock'
import type { Command } from 'storelock/protocol'

/** Sessions that take turns at one lock: each time the holder releases and requests again, in two transactions, while all others wait. */
export interface Crowd {
  turn(times: number): Promise<void>
}

/** Opens sessions that are only rows in the store. All waiters are in the record, so every command has to read and write them. */
export async function openCrowd(store: Store, sessions: number): Promise<Crowd> {
  // As long as the ids of real sessions.
  const ids = Array.from({ length: sessions }, (_, i) => `session-${String(i).padStart(4, '0')}`)
  let number = 0
  const send = async (command: Command) => {
    const [outcome] = await store.apply([command])
    if (!outcome || !('grants' in outcome) || outcome.type === 'refused') throw new Error(`the store refused ${JSON.stringify(command)}`)
    return outcome
  }
  const ask = (id: string) => send({ type: 'request', key: 'job', session: id, client: id, number: ++number, mode: 'exclusive', confirm: 180_000 })
  let holder = { session: '', token: 0 }
  for (const id of ids) {
    await store.apply([{ type: 'beat', session: id, client: id, lease: 600_000, opens: true }])
    const outcome = await ask(id)
    if (outcome.type === 'granted') holder = outcome.holder
  }
  return {
    async turn(times) {
      for (let i = 0; i < times; i++) {
        const { session, token } = holder
        const [grant] = (await send({ type: 'release', key: 'job', session, token })).grants
        if (!grant) throw new Error('the lock was handed on to nobody')
        holder = grant
        await ask(session)
      }
    },
  }
}
