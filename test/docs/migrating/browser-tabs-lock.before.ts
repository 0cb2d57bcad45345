import tabsLock from 'browser-tabs-lock'

const lock = new tabsLock.default() // it is CommonJS; some bundlers want `new tabsLock()`

export async function refresh(work: () => Promise<void>): Promise<boolean> {
  if (!(await lock.acquireLock('token', 5_000))) return false
  try {
    await work()
    return true
  } finally {
    await lock.releaseLock('token')
  }
}
