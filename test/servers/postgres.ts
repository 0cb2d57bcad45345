import { execFileSync, spawnSync } from 'node:child_process'
import { chownSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathOf, programs } from './programs.ts'
import { freePort, makeFolder, notRoot, restartable, run } from './running.ts'

/** A Postgres that tests have started, with the database `postgres` and its owner `storelock`, who needs no password. */
export interface PostgresServer {
  readonly url: string
  readonly port: number
  /** The connection string of its unix socket. */
  readonly socket: string
  /** Starts it again after `stop` or `kill`, at the same port. */
  start(): Promise<void>
  /** Stops it, and closes all its connections. */
  stop(): Promise<void>
  /** Kills it, as a crash would. */
  kill(): Promise<void>
  /** Sends a signal to all of its processes. */
  signal(signal: NodeJS.Signals): void
  /** The ids of its main process and of its children. */
  pids(): readonly number[]
  /** Puts a line at the top of pg_hba.conf, and restarts the server. */
  allow(line: string): Promise<void>
  /** Kills it and removes its files. */
  remove(): Promise<void>
}

/** @param settings the server's settings, as in postgresql.conf. By default it does not wait for the disk, since its data need not survive the machine */
export async function startPostgres(settings: Readonly<Record<string, string>> = { fsync: 'off' }): Promise<PostgresServer> {
  const [initdb, postgres] = programs.postgres.commands.map((command) => pathOf(programs.postgres, command)) as [string, string]
  const { folder, remove } = makeFolder()
  const owner = notRoot()
  if (owner.uid !== undefined) chownSync(folder, owner.uid, owner.gid as number)
  const data = join(folder, 'data')
  const options = { ...owner, cwd: folder }
  execFileSync(initdb, ['-D', data, '-A', 'trust', '-U', 'storelock', '--no-sync', '--no-locale', '-E', 'UTF8'], {
    ...options,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const port = await freePort()
  const all = {
    listen_addresses: '127.0.0.1',
    port: `${port}`,
    unix_socket_directories: folder,
    max_connections: '200',
    dynamic_shared_memory_type: 'mmap',
    ...settings,
  }
  const args = ['-D', data, ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])]
  const own = restartable(() => run(postgres, args, /ready to accept connections/, options))
  await own.start()
  const server: PostgresServer = {
    url: `postgres://storelock@127.0.0.1:${port}/postgres`,
    port,
    socket: `postgres://storelock@localhost:${port}/postgres?host=${encodeURIComponent(folder)}`,
    start: own.start,
    stop: () => own.end('SIGINT'),
    // On SIGQUIT Postgres ends at once with all its processes, and recovers at the next start as after a crash.
    kill: () => own.end('SIGQUIT'),
    pids() {
      const main = own.child?.pid
      return main === undefined ? [] : [main, ...childrenOf(main)]
    },
    signal(signal) {
      for (const pid of server.pids()) {
        try {
          process.kill(pid, signal)
        } catch {
          // The process has already ended.
        }
      }
    },
    async allow(line) {
      const file = join(data, 'pg_hba.conf')
      writeFileSync(file, `${line}\n${readFileSync(file, 'utf8')}`)
      await server.stop()
      await server.start()
    },
    async remove() {
      await server.kill()
      remove()
    },
  }
  return server
}

const childrenOf = (pid: number): number[] =>
  spawnSync('ps', ['-o', 'pid=', '--ppid', `${pid}`], { encoding: 'utf8' })
    .stdout.split('\n')
    .map(Number)
    .filter(Boolean)

/** A Postgres for tests that only connect to it: the one that the environment names, else a new one. */
export async function lendPostgres(): Promise<Pick<PostgresServer, 'url' | 'remove'>> {
  const url = process.env[programs.postgres.variable]
  return url ? { url, remove: async () => {} } : startPostgres()
}

/** Starts PgBouncer in transaction mode in front of a Postgres. */
export async function startPgBouncer(server: Pick<PostgresServer, 'port'>): Promise<{ readonly url: string; remove(): Promise<void> }> {
  const command = pathOf(programs.pgbouncer, 'pgbouncer')
  const { folder, remove } = makeFolder()
  const owner = notRoot()
  const port = await freePort()
  const file = join(folder, 'pgbouncer.ini')
  const lines = [
    '[databases]',
    `postgres = host=127.0.0.1 port=${server.port} dbname=postgres user=storelock`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = any',
    'pool_mode = transaction',
    'default_pool_size = 4',
    'max_client_conn = 200',
    'ignore_startup_parameters = extra_float_digits',
  ]
  writeFileSync(file, lines.join('\n'))
  if (owner.uid !== undefined) for (const path of [folder, file]) chownSync(path, owner.uid, owner.gid as number)
  const running = await run(command, [file], /process up/, { ...owner, cwd: folder })
  return {
    url: `postgres://storelock@127.0.0.1:${port}/postgres`,
    async remove() {
      await running.end('SIGKILL')
      remove()
    },
  }
}
