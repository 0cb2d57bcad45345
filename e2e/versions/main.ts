// `npm run versions`: does this checkout share a store with another version?
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import Database from 'better-sqlite3'
import { bundle, checkoutAt, root, sourcesOf } from '../../bench/bundle.ts'
import { atExit, endWhenTold } from '../../bench/cleanup.ts'
import type { Done, Order } from './child.ts'

const help = `Has processes of this checkout and of another version use one SQLite file at the same time.
They count together under one lock, take over from killed processes of the other version, and meet a lock with a limit.

npm run versions -- DIR [--rounds N]
  DIR           a checkout of the other version: git worktree add ../before main~10, and npm ci there
  --rounds N    how often each process counts; 500 unless told otherwise`

/** A process of one of the versions. */
class Peer {
  readonly child: ChildProcess
  constructor(program: string, file: string) {
    this.child = fork(program, [file], { execArgv: [] })
    this.child.on('exit', (code) => this.child.emit('message', { code: 'exit', message: `the process ended with ${code}` } satisfies Done))
  }

  /** @throws Error with the code of the error that the process reports */
  async order(order: Order): Promise<void> {
    this.child.send(order)
    const [done] = (await once(this.child, 'message')) as [Done]
    if ('code' in done) throw Object.assign(new Error(done.message), { code: done.code })
  }

  async kill(): Promise<void> {
    const gone = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await gone
  }

  async end(): Promise<void> {
    const gone = once(this.child, 'exit')
    this.child.send({ type: 'end' } satisfies Order)
    const [code] = await gone
    if (code !== 0) throw new Error(`the process ended with ${code}`)
  }
}

type Start = (version: 'here' | 'there') => Peer

/** Two processes of each version count. A lost step, or a token that does not rise, is a failure. */
async function count(start: Start, file: string, rounds: number): Promise<string> {
  const peers = (['here', 'there', 'here', 'there'] as const).map(start)
  await Promise.all(peers.map((peer) => peer.order({ type: 'count', rounds })))
  await Promise.all(peers.map((peer) => peer.end()))
  const db = new Database(file)
  const { value } = db.prepare('SELECT value FROM counter').get() as { value: number }
  const turns = db.prepare('SELECT token, pid FROM turns ORDER BY rowid').all() as { token: number; pid: number }[]
  db.close()
  if (value !== 4 * rounds) throw new Error(`${4 * rounds - value} of ${4 * rounds} steps were lost`)
  if (turns.some(({ token }, index) => token <= (turns[index - 1]?.token ?? 0))) throw new Error('a token did not rise')
  const changes = turns.filter(({ pid }, index) => index && pid !== turns[index - 1]?.pid).length
  return `${value} of ${4 * rounds} steps of four processes are there, tokens rose, the lock went to another process ${changes} times`
}

/** Kills a holder of one version. A waiter of the other version must take over long before the lease ends. */
async function takeOver(start: Start): Promise<string> {
  const times: string[] = []
  for (const [killed, next] of [
    ['here', 'there'],
    ['there', 'here'],
  ] as const) {
    const [holder, waiter] = [start(killed), start(next)]
    await holder.order({ type: 'hold' })
    const granted = waiter.order({ type: 'hold' })
    const began = performance.now()
    await holder.kill()
    await granted
    times.push(`${killed} → ${next} ${(performance.now() - began).toFixed(0)} ms`)
    await waiter.order({ type: 'release' })
    await waiter.end()
  }
  return `killed holders were replaced: ${times.join(', ')}`
}

/** A version without limits is refused while a limit is in use, and gets the lock afterwards. A version with limits shares the lock. */
async function withLimit(start: Start): Promise<string> {
  const [here, there] = [start('here'), start('there')]
  await here.order({ type: 'hold', options: { limit: 2 } })
  const refused = await there.order({ type: 'hold', options: { limit: 2 } }).then(
    () => undefined,
    (error: Error & { code: string }) => error,
  )
  if (refused && !(refused.code === 'store' && refused.message.includes('newer storelock'))) throw refused
  if (!refused) await there.order({ type: 'release' })
  await here.order({ type: 'release' })
  await there.order({ type: 'hold' })
  await there.order({ type: 'release' })
  await Promise.all([here.end(), there.end()])
  return refused
    ? `a limit is refused there as “${refused.message}”, and the lock without one is shared`
    : 'both versions know limits, and share a lock of two'
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { rounds: { type: 'string', default: '500' }, help: { type: 'boolean', short: 'h', default: false } },
  })
  if (values.help) return console.log(help)
  const [dir, ...more] = positionals
  if (dir === undefined || more.length) throw new Error('name one checkout of the other version: see --help')
  const rounds = Number(values.rounds)
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds is a whole number of at least 1, not ${values.rounds}`)

  const folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  atExit(() => rmSync(folder, { recursive: true, force: true }))
  // Node finds the packages from this folder.
  const programs = join(root, 'out', 'versions')
  mkdirSync(programs, { recursive: true })
  const made = async (name: 'here' | 'there', checkout: string): Promise<string> => {
    const program = join(programs, `${name}.js`)
    writeFileSync(program, await bundle('e2e/versions/child.ts', 'node', [sourcesOf(checkout)]))
    return program
  }
  const program = { here: await made('here', root), there: await made('there', checkoutAt(dir)) }
  for (const first of ['here', 'there'] as const) {
    const file = join(folder, `${first}.db`)
    const db = new Database(file)
    db.exec(
      'PRAGMA journal_mode = WAL; CREATE TABLE counter (value INTEGER); INSERT INTO counter VALUES (0); CREATE TABLE turns (token INTEGER, pid INTEGER)',
    )
    db.close()
    const start: Start = (version) => new Peer(program[version], file)
    // The first process creates the tables.
    const maker = start(first)
    await maker.order({ type: 'count', rounds: 0 })
    await maker.order({ type: 'hold' })
    await maker.end()
    console.log(`tables made ${first}:`)
    for (const fact of [count, takeOver, withLimit]) console.log(`  ${await fact(start, file, rounds)}`)
  }
}

endWhenTold()
await main().catch((error) => {
  console.error(`versions: ${error instanceof Error ? error.message : error}`)
  process.exitCode = 1
})
