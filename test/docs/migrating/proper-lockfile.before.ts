import lockfile from 'proper-lockfile'

export async function report(work: () => Promise<void>): Promise<void> {
  const release = await lockfile.lock('report.json', {
    retries: { retries: 100, minTimeout: 50, maxTimeout: 1_000 },
    // Without this, losing the lock ends the process.
    onCompromised: (error) => console.error(error),
  })
  try {
    await work()
  } finally {
    await release()
  }
}

export async function tryReport(work: () => Promise<void>): Promise<boolean> {
  const release = await lockfile.lock('report.json').catch((error) => {
    if (error.code === 'ELOCKED') return undefined
    throw error
  })
  if (!release) return false
  try {
    await work()
    return true
  } finally {
    await release()
  }
}
