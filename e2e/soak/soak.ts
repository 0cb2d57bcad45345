import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { ask, beat, Caller, type Figures } from './shared.ts'

export interface Soaked {
  /** How long a user's acquire and release took, in ms: alone, and under attack. */
  readonly quiet: Percentiles
  readonly attacked: Percentiles
  /** The most memory that the server's process used, in bytes. */
  readonly rss: number
  /** Growth of the heap after collections, in the second half of the attacks, in bytes per hour. A run of seconds says little. */
  readonly slope: number
  /** The longest turn of the server's event loop, in ms. */
  readonly longestTurn: number
  /** The errors of the user's requests. */
  readonly failures: readonly string[]
  /** Whether the log still has the first grant, which was made before the attacks. */
  readonly history: boolean
  /** The number of answers to each attack, by status. */
  readonly attacks: Readonly<Record<string, Readonly<Record<number, number>>>>
}

export interface Percentiles {
  readonly count: number
  readonly p50: number
  readonly p99: number
}

const start = (program: string, argument: string, ...flags: readonly string[]): ChildProcess =>
  fork(fileURLToPath(new URL(program, import.meta.url)), [argument], { execArgv: ['--import', 'tsx', ...flags] })

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

/**
 * Runs a lock server and a client that attacks it, each in a process of its own, and measures a user.
 * @param seconds how long the attacks last; before them the user is alone for a fifth of that time
 */
export async function soak(seconds: number, say: (line: string) => void = () => {}): Promise<Soaked> {
  const folder = mkdtempSync(join(tmpdir(), 'storelock-soak-'))
  const server = start('server.ts', join(folder, 'locks.db'), '--expose-gc')
  const children = [server]
  try {
    const [url] = (await once(server, 'message')) as [string]
    const operator = new Caller(url, 'operator', 'operator')
    const user = new Caller(url, 'user', 'user')
    const failures: string[] = []
    // Uses a client that writes little: the log first drops entries of the client with the most, and in ten minutes that may be the user.
    await operator.apply(beat('first'), ask('first', 'first', 1))
    let collections = 0
    const figures = async (collected: boolean): Promise<Figures> => {
      if (collected) collections++
      server.send(collected)
      const [told] = (await once(server, 'message')) as [Figures]
      if (collected) collections++
      return told
    }
    const disturbances = (): number => collections

    const quiet = await use(user, (seconds * 1_000) / 5, failures, disturbances)
    const attacker = start('attacks.ts', url)
    children.push(attacker)
    // Its start uses the whole processor, so the measurement waits for it.
    await once(attacker, 'message')
    await figures(true)
    const seen: { readonly at: number; readonly figures: Figures }[] = []
    let [looks, rss, longestTurn] = [0, 0, 0]
    let over = false
    const watching = (async () => {
      while (!over) {
        await sleep(Math.min(1_000, seconds * 5))
        const collected = ++looks % 30 === 0
        const now = await figures(collected)
        rss = Math.max(rss, now.rss)
        if (!collected) {
          longestTurn = Math.max(longestTurn, now.longestTurn)
          continue
        }
        seen.push({ at: performance.now(), figures: now })
        say(`${megabytes(now.rss)} MB, of which heap ${megabytes(now.heapUsed)} MB`)
      }
    })()
    const attacked = await use(user, seconds * 1_000, failures, disturbances)
    over = true
    await watching
    attacker.send('counts')
    const [attacks] = (await once(attacker, 'message')) as [Soaked['attacks']]
    const { text } = await operator.send('GET', '/v1/log?key=first&kind=grant')
    operator.close()
    user.close()
    return {
      ...{ quiet, attacked, failures, attacks },
      rss,
      longestTurn,
      slope: slopeOf(seen.slice(seen.length >> 1).map(({ at, figures }) => [at, figures.heapUsed])) * 3_600_000,
      history: (JSON.parse(text) as { entries: unknown[] }).entries.length === 1,
    }
  } finally {
    await Promise.all(children.map(end))
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * Takes and releases a lock again and again for `ms`.
 * @param disturbances counts starts and ends of collections that the soak itself causes. Times during one, when it is odd or rises, are left out
 */
async function use(user: Caller, ms: number, failures: string[], disturbances: () => number): Promise<Percentiles> {
  const times: number[] = []
  const session = 'user'
  const from = Date.now()
  let count = 0
  for (const until = performance.now() + ms; performance.now() < until; ) {
    const began = performance.now()
    const before = disturbances()
    count++
    try {
      const { lockTokens, outcomes } = await user.apply(beat(session), ask(session, 'user/key', from + count))
      const [ticket] = lockTokens
      if (ticket?.token === undefined) throw new Error(JSON.stringify(outcomes))
      await user.apply({ type: 'release', key: 'user/key', session, token: ticket.token, lockToken: ticket.lockToken })
      if (before % 2 === 0 && disturbances() === before) times.push(performance.now() - began)
    } catch (error) {
      failures.push((error as Error).message)
      // A refused client tries again a little later.
      await sleep(10)
    }
  }
  times.sort((a, b) => a - b)
  const at = (part: number): number => times[Math.floor(part * times.length)] ?? Number.NaN
  return { count: times.length, p50: at(0.5), p99: at(0.99) }
}

/** The slope of the line through these points, by least squares. */
function slopeOf(points: readonly (readonly [number, number])[]): number {
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
  const [x, y] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))]
  const above = points.reduce((sum, [a, b]) => sum + (a - x) * (b - y), 0)
  return above / points.reduce((sum, [a]) => sum + (a - x) ** 2, 0)
}

export const megabytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1)
