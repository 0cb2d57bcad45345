export async function sync(work: () => Promise<void>): Promise<void> {
  await navigator.locks.request('sync', work)
}

export async function trySync(work: () => Promise<void>): Promise<boolean> {
  return await navigator.locks.request('sync', { ifAvailable: true }, async (lock) => {
    if (!lock) return false
    await work()
    return true
  })
}
