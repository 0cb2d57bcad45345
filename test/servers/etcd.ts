import { join } from 'node:path'
import type { Host } from './network.ts'
import { pathOf, programs } from './programs.ts'
import { freePort, makeFolder, type OwnServer, ownServer, run } from './running.ts'

/** A member of an etcd cluster that tests have started. */
export type EtcdServer = OwnServer

/** Where a member runs. */
interface Place {
  readonly client: string
  readonly peer: string
  /** The start of its command line, which selects the host to run on. */
  readonly within: readonly string[]
}

/** Starts a cluster with this many members. */
export async function startEtcds(count: number, ...settings: string[]): Promise<EtcdServer[]> {
  const places: Place[] = []
  for (let index = 0; index < count; index++)
    places.push({ client: `http://127.0.0.1:${await freePort()}`, peer: `http://127.0.0.1:${await freePort()}`, within: [] })
  return startAt(places, settings)
}

/** Starts a cluster with a member on each of these hosts. */
export const startEtcdsOn = (hosts: readonly Host[], ...settings: string[]): Promise<EtcdServer[]> =>
  startAt(
    hosts.map(({ near, far, within }) => ({ client: `http://${near}:2379`, peer: `http://${far}:2380`, within })),
    settings,
  )

async function startAt(places: readonly Place[], settings: readonly string[]): Promise<EtcdServer[]> {
  const command = pathOf(programs.etcd, 'etcd')
  const own = places.map((place, index) => ({ name: `m${index}`, ...place, ...makeFolder() }))
  const cluster = own.map(({ name, peer }) => `${name}=${peer}`).join()
  const members = own.map(({ name, client, peer, within, folder, remove }): EtcdServer => {
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
    const [first, ...rest] = [...within, command, ...args] as [string, ...string[]]
    return ownServer(client, () => run(first, rest, /ready to serve client requests/), remove)
  })
  await Promise.all(members.map((member) => member.start()))
  return members
}

export async function startEtcd(...settings: string[]): Promise<EtcdServer> {
  const [server] = await startEtcds(1, ...settings)
  return server as EtcdServer
}

/** An etcd for tests that use only their own keys: the one that the environment names, else a new one. */
export async function lendEtcd(): Promise<Pick<EtcdServer, 'url' | 'remove'>> {
  const url = process.env[programs.etcd.variable]
  return url ? { url, remove: async () => {} } : startEtcd()
}
