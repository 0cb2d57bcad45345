type Guarded = (work: () => Promise<void>) => Promise<unknown>

/** From when to when something had the lock, in ms since 1970. */
export type Span = readonly [from: number, to: number]

/** Each is loaded when it is first wanted: some of them never rest. */
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

const now = (): number => performance.timeOrigin + performance.now()

/** What tests do in a page, as the global `samples`. */
const exposed = {
  /** Takes a sample's lock, keeps it for a moment, and lets it go. */
  async run(name: string): Promise<Span> {
    const sample = await known[name]?.()
    if (!sample) throw new Error(`there is no sample ${name}`)
    let span: Span = [0, 0]
    await sample.guarded(async () => {
      const from = now()
      await new Promise((resolve) => setTimeout(resolve, 100))
      span = [from, now()]
    })
    await sample.after?.()
    return span
  },
  /** What both samples for a lock that is asked for without waiting say, while it is held and when it is free. */
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
