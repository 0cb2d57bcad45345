import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A server in its own process. It ends with this process, unless this process is killed. */
export interface Running {
  readonly child: ChildProcess
  /** Sends a signal, and resolves when the process has ended. */
  end(signal: NodeJS.Signals): Promise<void>
}

/** How long a start may take, in ms. */
const patience = 30_000

/** Starts a server and waits until it says that it is ready. */
export async function run(command: string, args: readonly string[], ready: RegExp, options: SpawnOptions = {}): Promise<Running> {
  const child: ChildProcess = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  const kill = (): void => void child.kill('SIGKILL')
  process.prependOnceListener('exit', kill)
  child.once('exit', () => process.off('exit', kill))
  let said = ''
  let late: NodeJS.Timeout | undefined
  try {
    await new Promise<void>((resolve, reject) => {
      const heard = (chunk: Buffer): void => {
        said = (said + chunk).slice(-10_000)
        if (ready.test(said)) resolve()
      }
      child.stdout?.on('data', heard)
      child.stderr?.on('data', heard)
      child.once('error', reject)
      const failed = (): void => reject(new Error(`${command} did not start:\n${said}`))
      child.once('exit', failed)
      late = setTimeout(failed, patience).unref()
    })
  } catch (error) {
    kill()
    throw error
  } finally {
    clearTimeout(late)
  }
  return {
    child,
    async end(signal) {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill(signal)
      await ended
    },
  }
}

/** The folder in which Linux keeps files only in memory. */
const memory = '/dev/shm'
let parent = tmpdir()

/**
 * From now on, keeps the files of new servers in memory, if this machine has a place for that, so that they do not wait for a disk. A killed server
 * finds its files again, as on a disk.
 */
export function keepInMemory(): void {
  if (existsSync(memory)) parent = memory
}

/** Makes a folder. `remove` retries, since a server that was just stopped may still be writing. */
export function makeFolder(): { readonly folder: string; remove(): void } {
  const folder = mkdtempSync(join(parent, 'storelock-server-'))
  const remove = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  process.once('exit', remove)
  return {
    folder,
    remove() {
      process.off('exit', remove)
      remove()
    },
  }
}

/** A server's process, which can be started again after it has ended. */
export interface Restartable {
  /** The latest process that was ready. */
  readonly child: ChildProcess | undefined
  start(): Promise<void>
  /** Ends it with a signal. A start that is under way ends first: its process would outlive this otherwise. */
  end(signal: NodeJS.Signals): Promise<void>
}

/** @param begin starts the process */
export function restartable(begin: () => Promise<Running>): Restartable {
  let running: Running | undefined
  let starting: Promise<void> | undefined
  const start = async (): Promise<void> => {
    running = await begin()
  }
  return {
    get child() {
      return running?.child
    },
    start() {
      starting = start()
      return starting
    },
    async end(signal) {
      await starting?.catch(() => {})
      await running?.end(signal)
    },
  }
}

/** A server that tests have started. */
export interface OwnServer {
  readonly url: string
  /** Starts it, also again after `stop` or `kill`, at the same port. */
  start(): Promise<void>
  /** Stops it. It saves its data if its settings say so. */
  stop(): Promise<void>
  /** Kills it, as a crash would. */
  kill(): Promise<void>
  signal(signal: NodeJS.Signals): void
  /** The ids of its processes. */
  pids(): readonly number[]
  /** Kills it and removes its files. */
  remove(): Promise<void>
}

/** Makes a server that can be started and stopped. @param begin starts its program */
export function ownServer(url: string, begin: () => Promise<Running>, removeFiles: () => void): OwnServer {
  const server = restartable(begin)
  const kill = (): Promise<void> => server.end('SIGKILL')
  return {
    url,
    start: server.start,
    stop: () => server.end('SIGTERM'),
    kill,
    signal: (signal) => void server.child?.kill(signal),
    pids: () => (server.child?.pid === undefined ? [] : [server.child.pid]),
    async remove() {
      await kill()
      removeFiles()
    },
  }
}

/** A free port of the loopback interface. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

/** The user for a server that refuses to run as root. */
export function notRoot(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {}
  for (const user of ['postgres', 'nobody']) {
    try {
      const id = (option: '-u' | '-g') => Number(execFileSync('id', [option, user], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }))
      return { uid: id('-u'), gid: id('-g') }
    } catch {}
  }
  throw new Error('Postgres does not run as root, and there is no user "postgres" or "nobody" to run it as')
}
