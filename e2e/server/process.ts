import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { built } from '../../test/house/built.ts'

/** A lock server in a process of its own. */
export interface ServerProcess {
  readonly url: string
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void
  /** Kills the server with SIGKILL. */
  kill(): Promise<void>
}

const [program] = (await built(new URL('program.ts', import.meta.url))) as [string]
const started = new Set<ChildProcess>()

/**
 * @param place a SQLite file, or the address of a Postgres database
 * @param port default: a free port
 * @param schema the schema of the Postgres store
 */
export async function startServer(place: string, port = 0, schema = ''): Promise<ServerProcess> {
  const child = fork(program, [place, `${port}`, schema], { execArgv: [] })
  started.add(child)
  const [url] = (await once(child, 'message')) as [string]
  return {
    url,
    signal: (signal) => void child.kill(signal),
    kill: () => end(child),
  }
}

async function end(child: ChildProcess): Promise<void> {
  started.delete(child)
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

/** Kills every server that was started here, even stopped ones. */
export const killServers = async (): Promise<void> => void (await Promise.all([...started].map(end)))
