/**
 * A process that takes a lock again and again, and each time increments a counter in two steps that only the lock makes atomic:
 * `node --import tsx hammer-remote.ts <redis or etcd> <url> <prefix> <turns>`. Prints the tokens of its grants. Without turns it takes the lock once,
 * prints the token, and holds the lock until it is killed.
 */
import { createLocks, type HeldLock } from '../../src/index.ts'
import { etcdStore } from '../../src/stores/etcd.ts'
import { redisStore } from '../../src/stores/redis.ts'

const [kind, url = '', prefix = '', turns = '0'] = process.argv.slice(2)

/** Opens a store. `raise` increments the counter. */
function open() {
  if (kind === 'redis') {
    const store = redisStore(url, { prefix })
    const raise = async (lock: HeldLock): Promise<void> => {
      const seen = await store.transaction(lock, (tx) => tx.call<string | null>('GET', `{${prefix}} counter`))
      await store.transaction(lock, (tx) => tx.call('SET', `{${prefix}} counter`, Number(seen.value ?? 0) + 1))
    }
    return { store, raise }
  }
  const store = etcdStore(url, { prefix })
  const raise = async (lock: HeldLock): Promise<void> => {
    const seen = await store.transaction(lock, (tx) => tx.get(`${prefix} counter`))
    await store.transaction(lock, (tx) => tx.put(`${prefix} counter`, String(Number(seen.value ?? 0) + 1)))
  }
  return { store, raise }
}

const { store, raise } = open()
const locks = createLocks({ store, duration: 5_000 })
if (turns === '0') {
  const lock = await locks.acquire('job')
  process.stdout.write(`${lock.token}\n`)
} else {
  const tokens: number[] = []
  for (let turn = 0; turn < Number(turns); turn++) {
    await using lock = await locks.acquire('job')
    await raise(lock)
    tokens.push(lock.token)
  }
  process.stdout.write(`${JSON.stringify(tokens)}\n`)
  await locks.close()
  await store.close()
}
