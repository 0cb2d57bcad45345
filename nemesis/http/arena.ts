import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Store } from 'storelock'
import { postgresStore } from 'storelock/stores/postgres'
import { sqliteStore } from 'storelock/stores/sqlite'
import { bundle } from '../../bench/bundle.ts'
import { startPostgres } from '../../test/servers/postgres.ts'
import type { Arena, Fault, Setting } from '../arena.ts'
import { pick } from '../random.ts'
import { openWorkers } from '../sqlite/arena.ts'

/** The store in which lock servers keep their locks. */
interface Behind {
  /** The file or address with which a server is started. */
  readonly place: string
  open(): Store
  remove(): Promise<void>
}

/** Processes that use a lock server with its own file. The server has faults too. */
export const openServed = (setting: Setting): Promise<Arena> => {
  const file = join(setting.folder, 'locks.db')
  return openBehind(setting, 1, { place: file, open: () => sqliteStore(file), async remove() {} })
}

/** Processes that know three lock servers on one Postgres. One server at a time has a fault. */
export const openServers = async (setting: Setting): Promise<Arena> => {
  const postgres = await startPostgres()
  return openBehind(setting, 3, { place: postgres.url, open: () => postgresStore(postgres.url), remove: () => postgres.remove() })
}

async function openBehind(setting: Setting, count: number, { place, open, remove }: Behind): Promise<Arena> {
  const program = join(setting.folder, 'server.js')
  await writeFile(program, await bundle('nemesis/http/server.ts', 'node'))
  const servers: ChildProcess[] = []
  let troubled = false
  let closed = false

  /** @param port the port of the server that it replaces, or 0 */
  async function start(index: number, port: string): Promise<string> {
    // The child must not inherit this process's flags, which load TypeScript.
    const server = fork(program, [place, port], { execArgv: [] })
    servers[index] = server
    const [url] = (await once(server, 'message')) as [string]
    return url
  }
  const urls: string[] = []
  for (let index = 0; index < count; index++) urls.push(await start(index, '0'))

  /** Makes a fault that hits a random server, unless a server already has a fault. */
  const suffer =
    (harm: (index: number, ms: number) => Promise<unknown>): Fault['inflict'] =>
    async (_, ms, random) => {
      if (troubled || closed) return false
      troubled = true
      await harm(pick(random, [...urls.keys()]), ms)
      troubled = false
      return true
    }
  const end = async (index: number): Promise<void> => {
    const server = servers[index] as ChildProcess
    server.kill('SIGKILL')
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
  }
  const faults: Fault[] = [
    {
      kind: 'server killed',
      inflict: suffer(async (index) => {
        await end(index)
        if (!closed) await start(index, new URL(urls[index] as string).port)
      }),
    },
    {
      kind: 'server stopped',
      inflict: suffer(async (index, ms) => {
        servers[index]?.kill('SIGSTOP')
        await sleep(ms)
        servers[index]?.kill('SIGCONT')
      }),
    },
  ]
  const arena = await openWorkers(setting, { open, urls })
  return {
    ...arena,
    faults: [...arena.faults, ...faults],
    async close() {
      closed = true
      await arena.close()
      for (const index of urls.keys()) await end(index)
      await remove()
    },
  }
}
