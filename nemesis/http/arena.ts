import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { bundle } from '../../bench/bundle.ts'
import type { Arena, Fault, Setting } from '../arena.ts'
import { openWorkers } from '../sqlite/arena.ts'

/** Processes that use a lock server, which has a file of its own. The server gets faults, too. */
export async function openServed(setting: Setting): Promise<Arena> {
  const file = join(setting.folder, 'locks.db')
  const program = join(setting.folder, 'server.js')
  await writeFile(program, await bundle('nemesis/http/server.ts', 'node'))
  let server: ChildProcess
  let troubled = false
  let closed = false

  /** @param port that of the server before */
  async function start(port: string): Promise<string> {
    // Without the flags of this process, which load TypeScript.
    server = fork(program, [file, port], { execArgv: [] })
    const [url] = (await once(server, 'message')) as [string]
    return url
  }
  const url = await start('0')

  /** One fault of the server at a time. */
  const suffer =
    (harm: (ms: number) => Promise<unknown>): Fault['inflict'] =>
    async (_, ms) => {
      if (troubled || closed) return false
      troubled = true
      await harm(ms)
      troubled = false
      return true
    }
  const end = async (): Promise<void> => {
    server.kill('SIGKILL')
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
  }
  const faults: Fault[] = [
    {
      kind: 'server killed',
      inflict: suffer(async () => {
        await end()
        if (!closed) await start(new URL(url).port)
      }),
    },
    {
      kind: 'server stopped',
      inflict: suffer(async (ms) => {
        server.kill('SIGSTOP')
        await sleep(ms)
        server.kill('SIGCONT')
      }),
    },
  ]
  const arena = await openWorkers(setting, { file, url })
  return {
    ...arena,
    faults: [...arena.faults, ...faults],
    async close() {
      closed = true
      await arena.close()
      await end()
    },
  }
}
