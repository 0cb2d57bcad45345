import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { type Half, Log } from './half.ts'
import { ledgerTables, sqliteLedger } from './ledger-sqlite.ts'
import { type Report, report } from './messages.ts'

const program = fileURLToPath(new URL('writer.ts', import.meta.url))

/** Four Node processes that write to one SQLite file in `directory`. */
export async function startProcesses(count: number, directory: string): Promise<Half> {
  const file = join(directory, 'ledger.db')
  const db = new Database(file)
  db.pragma('journal_mode = WAL')
  db.exec(ledgerTables)
  const ledger = sqliteLedger(db)

  const log = new Log()
  const children = new Map<string, ChildProcess>()
  const names = Array.from({ length: count }, (_, index) => `process ${index + 1}`)
  for (const name of names) {
    // `fork` hands on the flags with which tsx loads TypeScript.
    const child = fork(program, [name, file], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    let complaint = ''
    child.stderr?.on('data', (text) => (complaint = `${complaint}${text}`.slice(-2_000)))
    child.on('message', (told: Report) => log.add(told))
    child.on('exit', (code, signal) => {
      if (code !== 0 && signal !== 'SIGKILL') log.add(report(name, { type: 'failed', message: `ended by ${signal ?? code}. ${complaint.trim()}` }))
    })
    children.set(name, child)
  }

  const alive = () => [...children.values()].filter((child) => child.exitCode === null && child.signalCode === null)
  const exit = (child: ChildProcess) => once(child, 'exit')

  return {
    title: 'processes · SQLite',
    names,
    log,
    killed: 'killed with SIGKILL',
    stopped: 'stopped with SIGSTOP',
    order: (name, order) => void children.get(name)?.send(order, () => {}),
    async kill(name) {
      const child = children.get(name)
      if (child === undefined || !child.kill('SIGKILL')) return
      await exit(child)
    },
    wake: (name) => void children.get(name)?.kill('SIGCONT'),
    entries: () => ledger.entries(),
    async close() {
      // SIGKILL, for one that is stopped hears nothing else.
      await Promise.all(
        alive().map((child) => {
          child.kill('SIGKILL')
          return exit(child)
        }),
      )
      if (db.open) db.close()
    },
  }
}
