import { closeSync, existsSync, openSync, realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { createLocks, type Locks, type LocksOptions, type Store } from '../index.ts'
import { storedKey, storedName } from '../protocol/index.ts'
import { attendance } from './attendance.ts'
import { Exit, exitCodes } from './exit.ts'
import { atMost } from './interrupt.ts'
import { inWords, say } from './output.ts'
import { isEtcd, isFile, isPostgres, isRedis, isShared, isUrl, urlsOf, withoutSecret } from './place.ts'
import { makeUserFolder } from './user-store.ts'

/** The credential for a lock server, if there is one. It comes from the environment, where other users do not see it. */
export function credential(): { token?: string } {
  const token = process.env.STORELOCK_SERVER_TOKEN
  return token ? { token } : {}
}

const driverRemedy = 'with npx, it is `npx -p storelock -p better-sqlite3 storelock run …`'

/** What to do about a failure, by the code of SQLite or of a lock server. */
const remedies: Readonly<Record<string, string>> = {
  SQLITE_CANTOPEN: 'check that its folder exists and that you can write there, or name another file with --store',
  SQLITE_READONLY: 'make the file and its folder writable for this user, or name another file with --store',
  SQLITE_FULL: 'the disk is full: free some space',
  SQLITE_IOERR: 'the disk cannot be written: check its free space, and whether there is a limit on file sizes',
  SQLITE_NOTADB: 'name a SQLite database, or a file that does not exist yet, with --store',
  MODULE_NOT_FOUND: driverRemedy,
  ERR_DLOPEN_FAILED: driverRemedy,
  unauthorized: 'put the token of one of the server’s clients into STORELOCK_SERVER_TOKEN',
}

/** SQLite's codes by number, since `node:sqlite` reports only the numbers. */
const numbers: Readonly<Record<number, string>> = {
  8: 'SQLITE_READONLY',
  10: 'SQLITE_IOERR',
  13: 'SQLITE_FULL',
  14: 'SQLITE_CANTOPEN',
  26: 'SQLITE_NOTADB',
}

/** What to do about an error, if that is known. */
export function remedyFor(error: unknown): string | undefined {
  const { code, errcode = 0 } = ((error as Error | undefined)?.cause ?? {}) as { code?: unknown; errcode?: number }
  const name = numbers[errcode & 0xff] ?? Object.keys(remedies).find((known) => String(code).startsWith(known))
  return name && remedies[name]
}

/**
 * Opens the store at a path or URL.
 * @param create whether a missing file is created: a misspelt name must not show an empty store
 */
export async function openStore(place: string, create = false): Promise<Store> {
  if (isUrl(place)) return await openHttp(place)
  if (isPostgres(place)) return await openPostgres(place)
  if (isRedis(place)) return await openRedis(place)
  if (isEtcd(place)) return await openEtcd(place)
  assertPlace(place, create)
  const { sqliteStore } = await import('../stores/sqlite.ts')
  return sqliteStore(place)
}

/** @throws Exit if this is not the path of a SQLite file, or there is none. @param create whether it may be missing */
export function assertPlace(place: string, create = false): void {
  if (/^[a-z][a-z\d+.-]+:/i.test(place)) {
    const known = 'the path of a SQLite file, user:, the URL of a lock server, or the address of a Postgres, Redis or etcd'
    throw new Exit(exitCodes.failed, `${withoutSecret(place)} is not a store: --store must be ${known}`)
  }
  if (!create && !existsSync(place)) {
    throw new Exit(exitCodes.failed, `there is no ${place}: name the store with --store or STORELOCK_STORE`)
  }
}

export async function openHttp(url: string): Promise<Store> {
  const { httpStore } = await import('../stores/http.ts')
  return httpStore(urlsOf(url), credential())
}

async function openPostgres(address: string): Promise<Store> {
  const { postgresStore } = await import('../stores/postgres.ts')
  return postgresStore(address)
}

async function openRedis(address: string): Promise<Store> {
  const { redisStore } = await import('../stores/redis.ts')
  return redisStore(address)
}

async function openEtcd(address: string): Promise<Store> {
  const { etcdStore } = await import('../stores/etcd.ts')
  const { members, ...options } = etcdAt(address)
  return etcdStore(members, options)
}

/** Parses an address such as `etcd://user:password@one:2379,two:2379`; `etcds` for TLS. */
export function etcdAt(address: string): { readonly members: string[]; readonly username?: string; readonly password?: string } {
  const [, tls, user, hosts = ''] = /^etcd(s?):\/\/(?:([^@]*)@)?([^/?#]*)/.exec(address) ?? []
  const [username, password = ''] = (user ?? '').split(':').map(decodeURIComponent)
  return { members: hosts.split(',').map((host) => `http${tls}://${host}`), ...(username && { username, password }) }
}

/** Identifies a store: the same text for every path of the same file. */
export function identityOf(place: string): string {
  if (isUrl(place)) return place.replace(/\/+$/, '')
  // The identity is in the environment of the command that `run` starts.
  if (isShared(place)) return withoutSecret(place)
  const path = resolve(place)
  return existsSync(path) ? realpathSync(path) : join(existsSync(dirname(path)) ? realpathSync(dirname(path)) : dirname(path), basename(path))
}

/** Calls `use` with a store, and closes the store in any case. A wait for the store is reported. */
export async function withStore<T>(place: string, use: (store: Store) => Promise<T>, create = false): Promise<T> {
  if (create && isFile(place)) sayIfNew(place)
  return await withUnwatchedStore(place, (store) => use(attendance.attend(store, place)), create)
}

/**
 * Makes a store's file if it is missing, and says so: in another directory the default is another store, and its locks do not exclude users of the
 * first.
 */
function sayIfNew(place: string): void {
  assertPlace(place, true)
  makeUserFolder(resolve(place))
  try {
    // If several processes start at the same moment, one of them makes it.
    closeSync(openSync(place, 'wx', 0o644))
  } catch {
    // The file exists; otherwise SQLite will report the error.
    return
  }
  say(`made a new store, ${resolve(place)}`)
}

/** Like {@link withStore}, but without reports, for callers that make their own. */
export async function withUnwatchedStore<T>(place: string, use: (store: Store) => Promise<T>, create = false): Promise<T> {
  const store = await openStore(place, create)
  try {
    return await use(store)
  } finally {
    await store.close()
  }
}

/** How long a command waits for an answer of the store, in ms. */
const longest = 30_000

/** The result of some work, unless the store is busy or silent for half a minute. @throws Exit */
export const answered = <T>(place: string, work: Promise<T>): Promise<T> =>
  attendance.within(longest, work, (why) => new Exit(exitCodes.failed, `${withoutSecret(place)} did not answer within ${inWords(longest)}: ${why}`))

/**
 * How long a store may delay the exit, in ms: locks that are not released end with their lease. A store that has been silent for `silent` ms gets
 * only the shortest time, `least`.
 */
const farewell = { most: 1_000, silent: 90, least: 50 }

export async function closeLocks(locks: Locks): Promise<void> {
  await atMost(attendance.isSilent(farewell.silent) ? farewell.least : farewell.most, locks.close())
}

/** Calls `use` with the locks and the name of one lock of a store, given by its key as `ls` shows it. Leaves nothing behind in any case. */
export async function withLock<T>(
  place: string,
  key: string,
  use: (locks: Locks, name: string) => Promise<T>,
  options: Omit<LocksOptions, 'store' | 'namespace'> = {},
): Promise<T> {
  return await withStore(place, async (store) => {
    const { namespace, name } = storedName(key)
    const locks = createLocks({ onWarning() {}, ...options, store, namespace })
    try {
      return await answered(place, use(locks, name))
    } finally {
      await closeLocks(locks)
    }
  })
}

/** The key of a lock in the store, from the name that the commands take: `@team/job` is `job` in the namespace `team`. */
export function keyOf(title: string): string {
  const { namespace, name } = storedName(title)
  return storedKey(namespace, name)
}
