import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A server in a process of its own. It does not outlive this one, unless that is killed. */
export interface Running {
  readonly child: ChildProcess
  /** Resolves when it has ended. */
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
  await new Promise<void>((resolve, reject) => {
    const heard = (chunk: Buffer): void => {
      said = (said + chunk).slice(-10_000)
      if (ready.test(said)) resolve()
    }
    child.stdout?.on('data', heard)
    child.stderr?.on('data', heard)
    child.once('error', reject)
    const failed = () => reject(new Error(`${command} did not start:\n${said}`))
    child.once('exit', failed)
    setTimeout(failed, patience).unref()
  })
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

/** Where Linux has files that are only in memory. */
const memory = '/dev/shm'
let parent = tmpdir()

/**
 * From now on servers have their files in memory, if this machine has a place for that: none waits for a disk. What a server has written is still there
 * after it was killed, as with a disk; only a power cut would lose more.
 */
export function keepInMemory(): void {
  if (existsSync(memory)) parent = memory
}

/** A new folder, and how to remove it. A server that was just stopped may still be writing. */
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

/** A server of our own, as tests use it. */
export interface OwnServer {
  readonly url: string
  /** Starts it, also again after `stop` or `kill`, at the same port. */
  start(): Promise<void>
  /** Ends it; it saves what it is set to save. */
  stop(): Promise<void>
  /** Ends it without a word, as a crash does. */
  kill(): Promise<void>
  signal(signal: NodeJS.Signals): void
  /** Its processes. */
  pids(): readonly number[]
  /** Ends it and removes its files. */
  remove(): Promise<void>
}

/** @param begin starts its program */
export function ownServer(url: string, begin: () => Promise<Running>, removeFiles: () => void): OwnServer {
  let running: Running | undefined
  const kill = async (): Promise<void> => running?.end('SIGKILL')
  return {
    url,
    async start() {
      running = await begin()
    },
    stop: async () => running?.end('SIGTERM'),
    kill,
    signal: (signal) => void running?.child.kill(signal),
    pids: () => (running?.child.pid === undefined ? [] : [running.child.pid]),
    async remove() {
      await kill()
      removeFiles()
    },
  }
}

/** A port of the loopback interface that nobody listens at. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

/** Whom to run a server as that refuses to be run by root. */
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
