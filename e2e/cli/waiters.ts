// Starts COUNT sessions in one process, each of which takes one lock once: `waiters.ts STORE COUNT`.
import { openStore } from '../../src/cli/store.ts'
import { createLocks } from '../../src/index.ts'

const [, , where = '', count = '1'] = process.argv
const store = await openStore(where, true)
const takeOnce = async (): Promise<void> => {
  const locks = createLocks({ store })
  await (await locks.acquire('crowded')).release()
  await locks.close()
}
await Promise.all(Array.from({ length: Number(count) }, takeOnce))
await store.close()
