import { join } from 'node:path'
import { pathOf, programs } from './programs.ts'
import { freePort, makeFolder, type Running, run } from './running.ts'

/** A member of an etcd cluster of our own. */
export interface EtcdServer {
  readonly url: string
  /** Starts it again after `stop` or `kill`, at the same port. */
  start(): Promise<void>
  stop(): Promise<void>
  /** Ends it without a word, as a crash does. */
  kill(): Promise<void>
  signal(signal: NodeJS.Signals): void
  /** Ends it and removes its files. */
  remove(): Promise<void>
}

/** A cluster of so many members. */
export async function startEtcds(count: number, ...settings: string[]): Promise<EtcdServer[]> {
  const command = pathOf(programs.etcd, 'etcd')
  const own = []
  for (let index = 0; index < count; index++) {
    const [client, peer] = [`http://127.0.0.1:${await freePort()}`, `http://127.0.0.1:${await freePort()}`]
    own.push({ name: `m${index}`, client, peer, ...makeFolder() })
  }
  const cluster = own.map(({ name, peer }) => `${name}=${peer}`).join()
  const members = own.map(({ name, client, peer, folder, remove }): EtcdServer => {
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
    const args = ['--name', name, '--data-dir', join(folder, 'data'), ...urls, '--initial-cluster', cluster, ...settings]
    let running: Running | undefined
    const server: EtcdServer = {
      url: client,
      async start() {
        running = await run(command, args, /ready to serve client requests/)
      },
      stop: async () => running?.end('SIGTERM'),
      kill: async () => running?.end('SIGKILL'),
      signal: (signal) => void running?.child.kill(signal),
      async remove() {
        await server.kill()
        remove()
      },
    }
    return server
  })
  await Promise.all(members.map((member) => member.start()))
  return members
}

export async function startEtcd(...settings: string[]): Promise<EtcdServer> {
  const [server] = await startEtcds(1, ...settings)
  return server as EtcdServer
}

/** An etcd for tests that only use keys of their own: the one that the environment names, else one of our own. */
export async function lendEtcd(): Promise<Pick<EtcdServer, 'url' | 'remove'>> {
  const url = process.env[programs.etcd.variable]
  return url ? { url, remove: async () => {} } : startEtcd()
}
