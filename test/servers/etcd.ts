import { join } from 'node:path'
import { pathOf, programs } from './programs.ts'
import { freePort, makeFolder, type OwnServer, ownServer, run } from './running.ts'

/** A member of an etcd cluster of our own. */
export type EtcdServer = OwnServer

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
    return ownServer(client, () => run(command, args, /ready to serve client requests/), remove)
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
