import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './redis.ts'

export interface EtcdServer {
  readonly url: string
  signal(signal: NodeJS.Signals): void
  end(signal?: NodeJS.Signals): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
}

export async function startEtcd(...args: string[]): Promise<EtcdServer> {
  const folder = mkdtempSync(join(tmpdir(), 'storelock-etcd-'))
  const [client, peer] = [`http://127.0.0.1:${await freePort()}`, `http://127.0.0.1:${await freePort()}`]
  let child: ChildProcess | undefined
  const start = async (): Promise<void> => {
    const urls = [
      '--listen-client-urls',
      client,
      '--advertise-client-urls',
      client,
      '--listen-peer-urls',
      peer,
      '--initial-advertise-peer-urls',
      peer,
    ]
    child = spawn('etcd', ['--data-dir', join(folder, 'data'), ...urls, '--initial-cluster', `default=${peer}`, ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const own = child
    let said = ''
    await new Promise<void>((resolve, reject) => {
      own.stderr?.on('data', (chunk) => {
        said += chunk
        if (/ready to serve client requests/.test(said)) resolve()
      })
      own.once('error', reject)
      own.once('exit', () => reject(new Error(`etcd did not start:\n${said}`)))
    })
  }
  const end = async (signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }
  process.once('exit', () => child?.kill('SIGKILL'))
  await start()
  return {
    url: client,
    signal: (signal) => void child?.kill(signal),
    end,
    start,
    async stop() {
      await end()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
