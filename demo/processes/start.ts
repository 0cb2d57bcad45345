import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { sqliteStore } from 'storelock/stores/sqlite'
import { type Order, type Report, report } from '../model/reports.ts'
import type { Cast } from '../tour/cast.ts'
import { countersIn, tables } from './counters.ts'

const program = fileURLToPath(new URL('process.ts', import.meta.url))

/** Starts Node processes that count in one SQLite file in `directory`. */
export async function startProcesses(count: number, directory: string, hear: (report: Report) => void): Promise<Cast> {
  const file = join(directory, 'demo.db')
  const db = new Database(file)
  db.pragma('journal_mode = WAL')
  db.exec(tables)
  const store = sqliteStore(db)
  const counters = countersIn(db, store)

  const children = new Map<string, ChildProcess>()
  for (let number = 1; number <= count; number++) {
    const name = `process ${number}`
    // `fork` passes on the flags with which tsx loads TypeScript.
    const child = fork(program, [name, file], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    let complaint = ''
    child.stderr?.on('data', (text) => (complaint = `${complaint}${text}`.slice(-2_000)))
    child.on('message', (told: Report) => hear(told))
    child.on('exit', (code, signal) => {
      if (code !== 0 && signal !== 'SIGKILL') hear(report(name, { type: 'failed', message: `ended by ${signal ?? code}. ${complaint.trim()}` }))
    })
    children.set(name, child)
  }

  const alive = () => [...children.values()].filter((child) => child.exitCode === null && child.signalCode === null)
  const kill = (child: ChildProcess) => {
    const gone = once(child, 'exit')
    // A stopped process reacts only to SIGKILL.
    child.kill('SIGKILL')
    return gone
  }

  return {
    title: 'processes, with SQLite',
    names: [...children.keys()],
    order: (to, order: Order) => void children.get(to)?.send(order, () => {}),
    async crash(name) {
      const child = children.get(name)
      if (!child) return
      child.kill('SIGKILL')
      hear(report(name, { type: 'crashed', how: 'was killed' }))
    },
    wake: async (name) => void children.get(name)?.kill('SIGCONT'),
    tallies: () => counters.all(),
    async close() {
      await Promise.all(alive().map(kill))
      await store.close()
      if (db.open) db.close()
    },
  }
}
