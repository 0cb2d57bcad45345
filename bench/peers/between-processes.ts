import type { Addresses } from '../servers.ts'
import { byte, byteAndWrites, publish } from './floors.ts'
import { ours } from './ours.ts'
import { oursOnPostgres } from './ours-on-postgres.ts'
import { oursOnEtcd, oursOnRedis } from './ours-on-redis-and-etcd.ts'
import type { Peer } from './peer.ts'
import { postgres } from './postgres.ts'
import { lockfileDefault, lockfileTight } from './proper-lockfile.ts'
import { redlockDefault, redlockTight } from './redlock.ts'

/** All peers that hand something from one process to another. */
export const betweenProcesses = {
  ...{ ours, byte, byteAndWrites, publish },
  ...{ oursOnPostgres, oursOnRedis, oursOnEtcd },
  ...{ postgres, lockfileTight, lockfileDefault, redlockTight, redlockDefault },
}

export type PeerName = keyof typeof betweenProcesses

/** Our stores that several machines can share. They have figures of their own. */
export const ofOtherMachines: readonly PeerName[] = ['oursOnPostgres', 'oursOnRedis', 'oursOnEtcd']

/** The peers that are available with these servers. */
export const present = (names: readonly PeerName[], addresses: Addresses): PeerName[] =>
  names.filter((name) => {
    const { server }: Peer = betweenProcesses[name]
    return !server || addresses[server] !== undefined
  })
