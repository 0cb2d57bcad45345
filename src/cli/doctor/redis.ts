import { addressOf, openLink, type RedisLink } from '../../channels/redis/client.ts'
import { type Finding, fault, note, ok } from './finding.ts'

/** The oldest version of Redis with everything that the store and its clients use. Valkey began with 7.2. */
const oldest = 6
/** By how many ms the clocks may differ without a note. */
const odd = 1_000
/** How long an answer may take, in ms. */
const timeout = 5_000

/** Checks a Redis for its use as a store. */
export async function checkRedis(url: string): Promise<Finding[]> {
  let link: RedisLink | undefined
  try {
    const late = new Promise<never>((_, reject) => void setTimeout(reject, timeout, new Error(`no answer within ${timeout} ms`)).unref())
    return await Promise.race([
      late,
      (async () => {
        link = await openLink(url, { up() {}, down() {} }, timeout)
        await link.ready()
        return await examine(link)
      })(),
    ])
  } catch (error) {
    const message = `the Redis at ${addressOf(url)}: ${(error as Error).message}`
    return [fault('server', message, 'check that it runs, and the address, user and password in --store or STORELOCK_STORE')]
  } finally {
    link?.close()
  }
}

async function examine(link: RedisLink): Promise<Finding[]> {
  const send = (...args: string[]): Promise<unknown> => link.send(args, 'storelock')
  const start = performance.now()
  const info = new Map(
    String(await send('INFO'))
      .split(/\r?\n/)
      .filter((line) => line.includes(':'))
      .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  )
  const took = Math.ceil(performance.now() - start)
  const of = (name: string): string => info.get(name) ?? ''
  return [
    ok('server', `answers within ${took} ms`),
    checkVersion(of('valkey_version'), of('redis_version')),
    of('role') === 'master' ? ok('master', 'takes writes') : fault('master', `this server is a ${of('role')}`, 'connect to the master'),
    checkMemory(of('maxmemory'), of('maxmemory_policy')),
    await checkScripts(send),
    await checkClock(send),
    checkDisk(of('aof_enabled'), of('rdb_last_save_time') !== '' && (await savesOf(send))),
    checkReplication(Number(of('connected_slaves')), of('cluster_enabled') === '1'),
  ]
}

function checkVersion(valkey: string, redis: string): Finding {
  if (valkey) return ok('version', `Valkey ${valkey}`)
  return Number.parseInt(redis, 10) < oldest ? fault('version', `Redis ${redis}`, `use ${oldest} or newer`) : ok('version', `Redis ${redis}`)
}

const checkMemory = (most: string, policy: string): Finding =>
  most !== '0' && policy.startsWith('allkeys')
    ? fault('memory', `maxmemory-policy is ${policy}: locks may be dropped`, 'set it to noeviction or a volatile one, or use another Redis')
    : ok('memory', most === '0' ? 'is not limited' : `maxmemory-policy is ${policy}`)

async function checkScripts(send: (...args: string[]) => Promise<unknown>): Promise<Finding> {
  try {
    await send('EVAL', `return redis.call('GET', KEYS[1])`, '1', '{storelock}:floor')
    return ok('scripts', 'may be run')
  } catch (error) {
    return fault('scripts', (error as Error).message, 'let this user run EVAL and EVALSHA on keys that start with {storelock}:')
  }
}

async function checkClock(send: (...args: string[]) => Promise<unknown>): Promise<Finding> {
  const before = Date.now()
  const [seconds, micros] = (await send('TIME')) as [string, string]
  const difference = Math.round(Number(seconds) * 1_000 + Number(micros) / 1_000 - (before + Date.now()) / 2)
  return Math.abs(difference) > odd
    ? note('clock', `the server's is ${difference} ms ahead of this machine's`, 'nothing: no lock depends on it, but times in lists do')
    : ok('clock', `differs by ${Math.abs(difference)} ms`)
}

/** Whether the server saves snapshots; false without the right to ask. */
const savesOf = async (send: (...args: string[]) => Promise<unknown>): Promise<boolean> =>
  send('CONFIG', 'GET', 'save').then(
    (reply) => !/^(save,?)?$/.test(String(Array.isArray(reply) ? reply : Object.entries(reply as object))),
    () => false,
  )

function checkDisk(appends: string, saves: boolean): Finding {
  if (appends === '1') return ok('disk', 'has an append-only file')
  const found = saves ? 'only has snapshots: a restart forgets the locks since the last' : 'keeps nothing: a restart forgets all locks'
  return note('disk', found, 'set appendonly yes; until then a restart ends all locks')
}

const checkReplication = (replicas: number, isCluster: boolean): Finding =>
  replicas || isCluster
    ? note(
        'replication',
        `${replicas} ${replicas === 1 ? 'replica' : 'replicas'}, which lag behind: a failover may lose the last locks`,
        'use the option durability, or fence all that matters',
      )
    : ok('replication', 'there is none')
