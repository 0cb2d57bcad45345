import { openDB } from 'idb'

type Guarded = (work: () => Promise<void>) => Promise<unknown>

/** Each sample is loaded when it is first used, since some of them keep running. */
const known: Record<string, () => Promise<{ readonly guarded: Guarded; readonly after?: () => Promise<void> }>> = {
  'navigator.locks, before': async () => ({ guarded: (await import('../../test/docs/migrating/navigator-locks.before.ts')).sync }),
  'navigator.locks, after': async () => ({ guarded: (await import('../../test/docs/migrating/navigator-locks.after.ts')).sync }),
  'browser-tabs-lock, before': async () => ({ guarded: (await import('../../test/docs/migrating/browser-tabs-lock.before.ts')).refresh }),
  'browser-tabs-lock, after': async () => ({ guarded: (await import('../../test/docs/migrating/browser-tabs-lock.after.ts')).refresh }),
  'idb-mutex, before': async () => ({ guarded: (await import('../../test/docs/migrating/idb-mutex.before.ts')).sync }),
  'idb-mutex, after': async () => ({ guarded: (await import('../../test/docs/migrating/idb-mutex.after.ts')).sync }),
  'broadcast-channel, before': async () => {
    const { lead, resign } = await import('../../test/docs/migrating/broadcast-channel.before.ts')
    return { guarded: lead, after: resign }
  },
  'broadcast-channel, after': async () => {
    const { lead, resign } = await import('../../test/docs/migrating/broadcast-channel.after.ts')
    return { guarded: lead, after: resign }
  },
}

const db = openDB('inside', 1, { upgrade: (db) => void db.createObjectStore('count') })

/** Counts how many tabs are inside. The browser runs these transactions one after another. */
async function count(change: number): Promise<number> {
  const { store } = (await db).transaction('count', 'readwrite')
  const next = ((await store.get('inside')) ?? 0) + change
  await store.put(next, 'inside')
  return next
}

/** What tests call in the page, as the global `samples`. */
const exposed = {
  /** Takes a sample's lock, keeps it for a moment, and releases it. @returns how many tabs were inside then, this one included */
  async run(name: string): Promise<number> {
    const sample = await known[name]?.()
    if (!sample) throw new Error(`there is no sample ${name}`)
    let inside = 0
    await sample.guarded(async () => {
      inside = await count(1)
      await new Promise((resolve) => setTimeout(resolve, 100))
      await count(-1)
    })
    await sample.after?.()
    return inside
  },
  /** What the `trySync` of both samples returns while the lock is held and when it is free. */
  async tries(): Promise<boolean[]> {
    const both = await Promise.all([
      import('../../test/docs/migrating/navigator-locks.before.ts'),
      import('../../test/docs/migrating/navigator-locks.after.ts'),
    ])
    const answers: boolean[] = []
    for (const { sync, trySync } of both) {
      await sync(async () => void answers.push(await trySync(async () => {})))
      answers.push(await trySync(async () => {}))
    }
    return answers
  },
}

declare global {
  var samples: typeof exposed
}

globalThis.samples = exposed
