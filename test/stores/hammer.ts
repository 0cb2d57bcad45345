/**
 * A process that takes the lock again and again, and each time increments a counter in two steps that only the lock makes atomic:
 * `node --import tsx hammer.ts <path> <session> <turns>`. Prints the tokens of its grants, in order.
 */
import Database from 'better-sqlite3'
import type { Command, Outcome } from '../../src/protocol/index.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'

const [path = '', session = '', turns = ''] = process.argv.slice(2)
const store = sqliteStore(path)
const db = new Database(path)
const counter = db.prepare('SELECT value FROM counter').pluck()
const setCounter = db.prepare('UPDATE counter SET value = ?')
const one = async (command: Command): Promise<Outcome> => (await store.apply([command]))[0] as Outcome

await one({ type: 'beat', session, client: session, lease: 60_000, opens: true })
const tokens: number[] = []
for (let number = 1; tokens.length < Number(turns); number++) {
  const request = { type: 'request', key: 'k', session, client: session, number, mode: 'exclusive', confirm: 60_000 } as const
  let outcome = await one(request)
  while (outcome.type === 'queued') {
    await new Promise((resolve) => setTimeout(resolve, 1))
    const view = await store.read('k')
    if (view?.holders.some((holder) => holder.session === session)) outcome = await one(request)
  }
  if (outcome.type !== 'granted') throw new Error(JSON.stringify(outcome))
  const { token } = outcome.holder
  await one({ type: 'renew', key: 'k', session, token })
  const value = counter.get() as number
  await new Promise((resolve) => setImmediate(resolve))
  setCounter.run(value + 1)
  await one({ type: 'release', key: 'k', session, token })
  tokens.push(token)
}
await one({ type: 'end', session })
await store.close()
db.close()
process.stdout.write(JSON.stringify(tokens))
