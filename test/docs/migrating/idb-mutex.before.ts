import idbMutex from 'idb-mutex'

const mutex = new idbMutex.default('sync', null, { expiry: 10_000 }) // it is CommonJS; some bundlers want `new idbMutex()`

export async function sync(work: () => Promise<void>): Promise<void> {
  await mutex.lock()
  try {
    await work() // must end within 10 s
  } finally {
    await mutex.unlock()
  }
}
