import { existsSync, realpathSync } from 'node:fs'
import type { SqliteDatabase } from '../../stores/sqlite/driver.ts'
import type { Common } from '../args.ts'
import { Exit, exitCodes } from '../exit.ts'
import { FileLook } from '../look.ts'
import { colours, type Parts, print, printJson } from '../output.ts'
import { isEtcd, isRedis, isShared, isUrl, urlsOf } from '../place.ts'
import { etcdAt, openHttp } from '../store.ts'
import { checkClock, checkEngine, checkIntegrity, checkJournal, checkRows, checkSchema, checkStale, checkWritable, readRows } from './database.ts'
import { checkFileSystem, checkSidecars, checkSockets, checkSpace } from './files.ts'
import { type Finding, fault, note, ok } from './finding.ts'
import { checkPath, checkProcesses } from './processes.ts'

/** Checks a store, and reports what to fix. @throws Exit with code 1 if a check finds a fault */
export async function doctor({ store: place, json }: Common): Promise<void> {
  const findings = isUrl(place)
    ? (await Promise.all(urlsOf(place).map((url) => checkServer(url)))).flat()
    : isShared(place)
      ? await checkShared(place)
      : await checkFile(place)
  if (json) printJson(findings)
  else for (const line of findings.flatMap(linesOf)) print(...line)
  if (findings.some(({ state }) => state === 'fault')) throw new Exit(exitCodes.no)
}

async function checkShared(address: string): Promise<Finding[]> {
  if (isRedis(address)) return (await import('./redis.ts')).checkRedis(address)
  if (isEtcd(address)) return (await import('./etcd.ts')).checkEtcd(etcdAt(address))
  return (await import('./postgres.ts')).checkPostgres(address)
}

async function checkFile(file: string): Promise<Finding[]> {
  if (!existsSync(file)) return [fault('file', `there is no ${file}`, 'name the store with --store or STORELOCK_STORE')]
  const surroundings = [checkPath(realpathSync(file)), checkFileSystem(file), checkSpace(file), checkSockets()]
  const look = new FileLook(file)
  try {
    return [...(await look.look((db) => checkDatabase(db, file))), ...surroundings]
  } catch (error) {
    return [fault('file', (error as Error).message, 'check that it is a SQLite database that you can read'), ...surroundings]
  } finally {
    look.close()
  }
}

function checkDatabase(db: SqliteDatabase, file: string): Finding[] {
  const found = [checkEngine(db), checkJournal(db), checkIntegrity(db), checkWritable(file)]
  const tables = db.prepare(`SELECT name FROM sqlite_master WHERE name IN ('storelock_meta', 'storelock_records', 'storelock_sessions')`).all()
  if (tables.length < 3) return [...found, note('tables', 'there are no tables of storelock', 'nothing: they are made when a lock is first taken')]
  const rows = readRows(db)
  return [
    ...found,
    checkProcesses(realpathSync(file)),
    checkSchema(db),
    checkRows(rows),
    checkStale(rows),
    checkClock(rows),
    checkSidecars(file, (session) => rows.sessions.has(session)),
  ]
}

async function checkServer(url: string): Promise<Finding[]> {
  const store = await openHttp(url)
  try {
    const start = performance.now()
    const locks = await store.list()
    return [ok('server', `answers within ${Math.ceil(performance.now() - start)} ms, with ${locks.length} locks`)]
  } catch (error) {
    return [
      fault(
        'server',
        (error as Error).message,
        'check that it runs, that the URL is right, and that STORELOCK_SERVER_TOKEN is the token of a client',
      ),
    ]
  } finally {
    await store.close()
  }
}

const shades = { ok: colours.green, note: colours.yellow, fault: colours.red }

const linesOf = ({ check, state, found, mend }: Finding): Parts[] => [
  [shades[state](state.padEnd(5)), `  ${check.padEnd(16)}  ${found}`],
  ...(mend ? [[`${' '.repeat(25)}→ ${mend}`]] : []),
]
