import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, chownSync, constants, existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { atExit } from './cleanup.ts'
import { inFolder } from './folder.ts'

/** Where the servers listen that some peers need; what is not on this machine is not there. */
export interface Addresses {
  /** A unix socket. */
  readonly redis?: string | undefined
  /** The folder of its unix socket. */
  readonly postgres?: string | undefined
}

/** Lends a Redis and a Postgres, in folders of their own; says so where this machine has none. */
export const withServers = <T>(use: (addresses: Addresses) => Promise<T>): Promise<T> =>
  inFolder((redisFolder) =>
    inFolder(async (postgresFolder) => {
      const started = [await orWithout('Redis', startRedis(redisFolder)), await orWithout('Postgres', startPostgres(postgresFolder))] as const
      try {
        return await use({ redis: started[0]?.address, postgres: started[1]?.address })
      } finally {
        await Promise.all(started.map((server) => server?.stop()))
      }
    }),
  )

/** A peer that does not start is no reason to measure nothing. */
const orWithout = (name: string, starting: Promise<Server | undefined>): Promise<Server | undefined> =>
  starting.catch((error: Error) => void console.error(`${name} is left out: ${error.message}`))

interface Server {
  readonly address: string
  stop(): Promise<void>
}

async function startRedis(folder: string): Promise<Server | undefined> {
  const command = find('redis-server')
  if (!command) return leaveOut('Redis', 'redis-server')
  const address = join(folder, 'redis.sock')
  const args = ['--port', '0', '--unixsocket', address, '--dir', folder, '--save', '', '--appendonly', 'no']
  return { address, stop: await serve(command, args, 'SIGKILL') }
}

async function startPostgres(folder: string): Promise<Server | undefined> {
  const [initdb, postgres] = [find('initdb'), find('postgres')]
  if (!initdb || !postgres) return leaveOut('Postgres', 'postgresql')
  // It refuses to run as root.
  const owner = process.getuid?.() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : {}
  if (owner.uid !== undefined) chownSync(folder, owner.uid, owner.gid)
  const data = join(folder, 'data')
  execFileSync(initdb, ['-D', data, '-A', 'trust', '-U', 'bench', '--no-sync'], { ...owner, cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] })
  const args = ['-D', data, '-k', folder, '-c', 'listen_addresses=', '-c', 'fsync=off']
  // Told so, it ends its processes with it, and at once.
  const stop = await serve(postgres, args, 'SIGQUIT', { ...owner, cwd: folder })
  return { address: folder, stop }
}

/** The user that Debian's package makes, else one that is everywhere. */
function idOf(option: '-u' | '-g'): number {
  for (const user of ['postgres', 'nobody']) {
    try {
      return Number(execFileSync('id', [option, user], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }))
    } catch {}
  }
  throw new Error('Postgres does not run as root, and there is no user "postgres" or "nobody" to run it as')
}

/** What both of them say, in one wording or another. */
const ready = /ready to accept connections/i
/** How long that may take, in ms. */
const patience = 20_000

/** Starts a server and waits until it says that it is ready. @returns stops it */
async function serve(command: string, args: readonly string[], end: NodeJS.Signals, options: SpawnOptions = {}): Promise<() => Promise<void>> {
  const child: ChildProcess = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  const kill = atExit(() => child.kill(end))
  let said = ''
  await new Promise<void>((resolve, reject) => {
    const heard = (chunk: Buffer): void => {
      said += chunk
      if (ready.test(said)) resolve()
    }
    child.stdout?.on('data', heard)
    child.stderr?.on('data', heard)
    child.once('error', reject)
    const failed = () => reject(new Error(`${command} did not start:\n${said}`))
    child.once('exit', failed)
    setTimeout(failed, patience).unref()
  })
  return async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit')
      kill()
      await ended
    }
  }
}

/** Debian keeps Postgres' commands outside the path. */
function find(command: string): string | undefined {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...versions.map((version) => join(debian, version, 'bin'))].filter(Boolean)
  return folders.map((folder) => join(folder, command)).find(isRunnable)
}

function isRunnable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function leaveOut(name: string, debianPackage: string): undefined {
  console.error(
    `${name} is left out: it is not on this machine. To have it: apt-get install -y ${debianPackage} (macOS: brew install ${name.toLowerCase()})`,
  )
}
