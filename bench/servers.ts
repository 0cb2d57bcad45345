import { join } from 'node:path'
import { startEtcd } from '../test/servers/etcd.ts'
import { startPostgres } from '../test/servers/postgres.ts'
import { findCommand, programs } from '../test/servers/programs.ts'
import { run } from '../test/servers/running.ts'
import { inFolder } from './folder.ts'

/** The addresses of the servers that some peers need. An address is missing if the server is not installed. */
export interface Addresses {
  /** A unix socket. */
  readonly redis?: string | undefined
  /** A connection string, over a unix socket. */
  readonly postgres?: string | undefined
  /** A URL. */
  readonly etcd?: string | undefined
}

/** Starts a Redis, a Postgres and an etcd in folders of their own, and logs which of them are not installed. */
export const withServers = <T>(use: (addresses: Addresses) => Promise<T>): Promise<T> =>
  inFolder(async (folder) => {
    const [redis, postgres, etcd] = [
      await orWithout('Redis', startRedis(folder)),
      await orWithout('Postgres', startPostgresHere()),
      await orWithout('etcd', startEtcdHere()),
    ]
    try {
      return await use({ redis: redis?.address, postgres: postgres?.address, etcd: etcd?.address })
    } finally {
      await Promise.all([redis, postgres, etcd].map((server) => server?.stop()))
    }
  })

/** If a peer does not start, the others are measured without it. */
const orWithout = (name: string, starting: Promise<Server | undefined>): Promise<Server | undefined> =>
  starting.catch((error: Error) => void console.error(`${name} is left out: ${error.message}`))

interface Server {
  readonly address: string
  stop(): Promise<void>
}

async function startRedis(folder: string): Promise<Server | undefined> {
  const command = findCommand('redis-server')
  if (!command) return leaveOut('Redis', 'redis-server')
  const address = join(folder, 'redis.sock')
  const args = ['--port', '0', '--unixsocket', address, '--dir', folder, '--save', '', '--appendonly', 'no']
  const { end } = await run(command, args, /ready to accept connections/i)
  return { address, stop: () => end('SIGKILL') }
}

async function startPostgresHere(): Promise<Server | undefined> {
  const { title, commands, debian } = programs.postgres
  if (!commands.every(findCommand)) return leaveOut(title, debian)
  const { socket, remove } = await startPostgres()
  return { address: socket, stop: remove }
}

async function startEtcdHere(): Promise<Server | undefined> {
  const { title, commands, debian } = programs.etcd
  if (!commands.every(findCommand)) return leaveOut(title, debian)
  const { url, remove } = await startEtcd()
  return { address: url, stop: remove }
}

function leaveOut(name: string, debianPackage: string): undefined {
  console.error(
    `${name} is left out: it is not on this machine. To have it: apt-get install -y ${debianPackage} (macOS: brew install ${name.toLowerCase()})`,
  )
}
