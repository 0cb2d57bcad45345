import { setTimeout as sleep } from 'node:timers/promises'
import { EtcdClient } from '../../src/channels/etcd/client.ts'
import { type EtcdServer, startEtcdsOn } from '../../test/servers/etcd.ts'
import { type Host, makeNetwork } from '../../test/servers/network.ts'
import { keepInMemory } from '../../test/servers/running.ts'
import type { Arena, Setting } from '../arena.ts'
import { type Harm, openOn } from './open.ts'

/** Shorter than etcd's defaults, in ms, since the network is one machine. */
const settings = ['--heartbeat-interval', '50', '--election-timeout', '500']

interface Member {
  readonly host: Host
  readonly server: EtcdServer
}

/** The present leader: the member that leads in the latest known term. */
async function leaderOf(members: readonly Member[]): Promise<Member | undefined> {
  const statuses = await Promise.all(
    members.map(async (member) => {
      const client = new EtcdClient([member.server.url], { timeout: 300 })
      try {
        const { header, leader, raftTerm } = await client.call<Status>('maintenance/status', {})
        return { member, leads: header.member_id === leader, term: Number(raftTerm) }
      } catch {
        return undefined
      } finally {
        client.close()
      }
    }),
  )
  const latest = Math.max(...statuses.map((status) => status?.term ?? 0))
  return statuses.find((status) => status?.leads && status.term === latest)?.member
}

interface Status {
  readonly header: { readonly member_id: string }
  readonly leader?: string
  readonly raftTerm?: string
}

/** Processes on an etcd of three members, each on its own host. The faults are killed or stopped members and pulled cables. */
export async function openCluster(setting: Setting): Promise<Arena> {
  keepInMemory()
  const network = makeNetwork(3)
  const servers = await startEtcdsOn(network.hosts, ...settings).catch((error) => {
    network.remove()
    throw error
  })
  const members = servers.map((server, index): Member => ({ server, host: network.hosts[index] as Host }))
  let turn = 0
  const another = async (leader: Member): Promise<Member> => members.filter((member) => member !== leader)[turn++ % 2] as Member

  /** @param choose picks the member, given the leader */
  const harm =
    (choose: (leader: Member) => Member | Promise<Member>, act: (member: Member, ms: number, isOver: () => boolean) => Promise<void>): Harm =>
    async (ms, isOver) => {
      const leader = await leaderOf(members)
      if (!leader) return false
      await act(await choose(leader), ms, isOver)
      return true
    }
  const kill = async ({ server }: Member, ms: number, isOver: () => boolean): Promise<void> => {
    await server.kill()
    await sleep(ms)
    if (!isOver()) await server.start()
  }
  /** Cuts a member off from the others, while clients still reach it. It must neither grant locks nor return stale data. */
  const cutOff = async ({ host }: Member, ms: number): Promise<void> => {
    host.cutOff()
    // Longer than the other members need to notice this and to elect a leader.
    await sleep(ms + 1_000)
    host.rejoin()
  }
  const stop = async ({ server }: Member, ms: number): Promise<void> => {
    server.signal('SIGSTOP')
    await sleep(ms)
    server.signal('SIGCONT')
  }
  const theLeader = (leader: Member): Member => leader
  const urls = servers.map(({ url }) => url).join()
  return openOn(setting, {
    kind: 'etcd',
    url: urls,
    workersUrl: urls,
    harms: {
      'leader killed': harm(theLeader, kill),
      'leader cut off from the members': harm(theLeader, cutOff),
      'leader stopped': harm(theLeader, stop),
      'another member killed': harm(another, kill),
      'another member cut off': harm(another, cutOff),
    },
    async remove() {
      await Promise.all(servers.map((server) => server.remove()))
      network.remove()
    },
  })
}
