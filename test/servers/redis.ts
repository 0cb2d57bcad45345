import { setTimeout } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { pathOf, programs } from './programs.ts'
import { freePort, makeFolder, type OwnServer, ownServer, run } from './running.ts'

/** A Redis that tests have started. */
export interface RedisServer extends OwnServer {
  readonly port: number
}

/**
 * @param settings the server's settings, as in redis.conf
 * @param program the program to start: Redis or Valkey
 */
export async function startRedis(
  settings: Readonly<Record<string, string>> = {},
  program: typeof programs.redis | typeof programs.valkey = programs.redis,
): Promise<RedisServer> {
  const command = pathOf(program, program.commands[0])
  const { folder, remove } = makeFolder()
  const port = await freePort()
  const all = { port: `${port}`, bind: '127.0.0.1', dir: folder, save: '', ...settings }
  const args = Object.entries(all).flatMap(([name, value]) => [`--${name}`, ...(value === '' ? [''] : value.split(' '))])
  const server = ownServer(`redis://127.0.0.1:${port}`, () => run(command, args, /eady to accept connections/), remove)
  await server.start()
  return { ...server, port }
}

/** A Redis for tests that use only their own keys: the one that the environment names, else a new one. */
export async function lendRedis(): Promise<Pick<RedisServer, 'url' | 'remove'>> {
  const url = process.env[programs.redis.variable]
  return url ? { url, remove: async () => {} } : startRedis()
}

/** Starts a cluster of three masters without replicas. */
export async function startRedisCluster(): Promise<{ readonly nodes: readonly RedisServer[]; remove(): Promise<void> }> {
  const settings = { 'cluster-enabled': 'yes', 'cluster-node-timeout': '1000' }
  const nodes = await Promise.all([0, 1, 2].map(() => startRedis(settings)))
  const clients = nodes.map(({ url }) => new Redis(url))
  const slots = [0, 5_461, 10_923, 16_384]
  for (const [index, client] of clients.entries()) {
    await client.call('CLUSTER', 'ADDSLOTSRANGE', String(slots[index]), String((slots[index + 1] as number) - 1))
    await client.call('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1))
  }
  for (const { port } of nodes.slice(1)) await clients[0]?.call('CLUSTER', 'MEET', '127.0.0.1', String(port))
  for (const client of clients) while (!String(await client.call('CLUSTER', 'INFO')).includes('cluster_state:ok')) await setTimeout(20)
  for (const client of clients) client.disconnect()
  return { nodes, remove: async () => void (await Promise.all(nodes.map((node) => node.remove()))) }
}
