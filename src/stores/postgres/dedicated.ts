import { type OwnClient, Pooled } from './connect.ts'

/** A connection that is reopened whenever it is lost. */
export interface Dedicated {
  /**
   * Opens the connection, if it is not open. Calls `up` with each new connection, at once if there is one, and `down` after each loss or failed
   * attempt.
   * @returns how to stop listening
   */
  use(user: DedicatedUser): () => void
  close(): Promise<void>
}

interface DedicatedUser {
  /** If it rejects, the connection counts as lost. */
  up(client: OwnClient): void | Promise<void>
  down?(why: Error): void
}

/** The pause before another attempt to open the connection, in ms: it starts at the first value and doubles up to the last. */
const firstPause = 50
const lastPause = 5_000
/** How often we check that the connection answers, and how long the answer may take, in ms. */
const pulse = 5_000

/** @param told is called with the reason after each loss or failed attempt, and with `undefined` once there is a connection */
export function keepConnection(open: () => Promise<OwnClient>, told: (why: Error | undefined) => void): Dedicated {
  const users = new Set<DedicatedUser>()
  let present: OwnClient | undefined
  let begun = false
  let closed = false
  let wake = (): void => {}

  /** Resolves when the connection is lost, with the reason. */
  const live = async (client: OwnClient): Promise<Error> => {
    const lost = new Promise<Error>((resolve) => {
      client.on('error', resolve)
      client.on('end', () => resolve(new Error('the connection ended')))
    })
    client.unref?.()
    // A connection can be half-open for hours without either side noticing.
    const check = setInterval(() => {
      const statement = { text: 'SELECT 1', query_timeout: pulse } as unknown as string
      client.query(statement).catch(() => end(client))
    }, pulse)
    check.unref()
    try {
      for (const user of users) await user.up(client)
      present = client
      told(undefined)
      return await lost
    } catch (error) {
      return error as Error
    } finally {
      clearInterval(check)
      present = undefined
      end(client)
    }
  }

  const keep = async (): Promise<void> => {
    for (let pause = firstPause; !closed; pause = Math.min(2 * pause, lastPause)) {
      let why: Error
      try {
        const client = await open()
        pause = firstPause
        why = closed ? new Error('closed') : await live(client)
        if (closed) end(client)
      } catch (error) {
        why = error as Error
      }
      if (closed) return
      for (const user of users) user.down?.(why)
      told(why)
      // Another attempt would reach the same pooler.
      if (why instanceof Pooled) return
      await new Promise<void>((resolve) => {
        wake = resolve
        setTimeout(resolve, pause * (0.5 + Math.random() / 2)).unref()
      })
    }
  }

  return {
    use(user) {
      users.add(user)
      if (present) Promise.resolve(user.up(present)).catch(() => present && end(present))
      if (!begun) {
        begun = true
        keep()
      }
      return () => users.delete(user)
    },
    async close() {
      closed = true
      wake()
      if (present) await end(present)
    },
  }
}

/** Ends a connection. It waits at most 500 ms, because a broken connection never confirms its end. */
const end = (client: OwnClient): Promise<unknown> =>
  Promise.race([client.end().catch(() => {}), new Promise((resolve) => setTimeout(resolve, 500).unref())])
