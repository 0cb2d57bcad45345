import { join } from 'node:path'
import { createLocks, type Locks } from 'storelock'
import { serve } from 'storelock/server'
import { httpStore } from 'storelock/stores/http'
import { sqliteStore } from 'storelock/stores/sqlite'
import { inFolder } from '../folder.ts'
import { type Line, type Role, start } from '../processes.ts'

/** A lock server over a SQLite file, in a process of its own. */
export const lockServer: Role<{ folder: string }> = async ({ folder }, starter) => {
  const store = sqliteStore(join(folder, 'served.db'))
  const server = await serve(store)
  starter.say('url', server.url)
  answerCpu(starter)
  return async () => {
    await server.close()
    await store.close()
  }
}

/** The CPU time that this process has used, in µs. */
export function cpu(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** Lets the starter of this process ask for its CPU time. */
export const answerCpu = (starter: Line): void => starter.on('cpu?', () => starter.say('cpu', cpu()))

export interface Served {
  readonly url: string
  /** The CPU time that the server has used, in µs. */
  cpu(): Promise<number>
}

/** Runs a server in a process of its own, in this role, while `body` runs. */
export async function withOther<Place, T>(role: string, place: Place, body: (server: Served) => Promise<T>): Promise<T> {
  const other = await start(role, place)
  const url = await other.hear<string>('url')
  const asked = (): Promise<number> => {
    other.say('cpu?')
    return other.hear<number>('cpu')
  }
  const result = await body({ url, cpu: asked })
  await other.end()
  return result
}

/** Runs a lock server while `body` runs. */
export const withServer = <T>(body: (server: Served) => Promise<T>): Promise<T> => inFolder((folder) => withOther('lockServer', { folder }, body))

export interface Client {
  readonly locks: Locks
  close(): Promise<void>
}

/** One session with a connection of its own. */
export function clientOf(url: string): Client {
  const store = httpStore(url)
  const locks = createLocks({ store })
  return {
    locks,
    async close() {
      await locks.close()
      await store.close()
    },
  }
}
