import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { guardianOf, isAlive, openFilesOf, Program, stateOf, until } from './cli/program.ts'
import { race } from './cli/race.ts'
import { deaf, grandchildOf, groupOf, works } from './cli/scripts.ts'
import { withProgram } from './cli/setup.ts'
import { startContext } from './processes/start.ts'

// Real processes, each with its own connection to one SQLite file.
const place = withProgram()

const storelock = (args: readonly string[], options = {}): Program =>
  new Program([process.execPath, place.main, ...args], { cwd: place.folder, ...options })

/** Runs a shell script under the lock. */
const run = (script: string, ...options: readonly string[]): Program => storelock(['run', 'job', ...options, '--', 'sh', '-c', script])

/** Waits for the lock, and prints whether any process of that group was still alive when it got it. */
const next = (group: number): Program => run(`kill -0 -- -${group} 2>/dev/null && echo alive || echo gone`)

const isFree = async (): Promise<boolean> => {
  const program = storelock(['ls', '--json'])
  expect(await program.code()).toBe(0)
  return JSON.parse(program.printed).length === 0
}

describe('storelock run', { timeout: 60_000 }, () => {
  test('gives the command its key, its token, its input and its output, and ends with its exit code', async () => {
    const program = run('read -r line; echo "$line $STORELOCK_KEY $STORELOCK_TOKEN"; exit 7')
    program.child.stdin?.end('hello\n')
    expect(await program.code()).toBe(7)
    expect(program.printed).toMatch(/^hello job \d{16}\n$/)
    expect(await isFree()).toBe(true)
  })

  test('ends with 127 if there is no such command, with 126 if it cannot be run', async () => {
    expect(await storelock(['run', 'job', '--', 'no-such-command']).code()).toBe(127)
    expect(await storelock(['run', 'job', '--', '/etc/passwd']).code()).toBe(126)
    expect(await isFree()).toBe(true)
  })

  test('ends with 1, or with --conflict-exit-code, if --nonblock does not get the lock', async () => {
    const holder = run(works)
    await groupOf(holder)
    expect(await run('true', '--nonblock').code()).toBe(1)
    expect(await run('true', '--nonblock', '--conflict-exit-code', '75').code()).toBe(75)
  })

  test('with --if-no-queue waits if nothing else waits, and otherwise ends with 1', async () => {
    const holder = run(works)
    await groupOf(holder)
    const waiter = run('true', '--if-no-queue')
    const waits = async (): Promise<boolean> => {
      const show = storelock(['ls', '--json'])
      await show.code()
      return JSON.parse(show.printed)[0]?.queue.length === 1
    }
    while (!(await waits()));
    const refused = run('true', '--if-no-queue', '--verbose')
    expect(await refused.code()).toBe(1)
    expect(refused.said).toContain('"job" is held or waited for: someone else holds it')
    holder.child.kill('SIGTERM')
    expect(await waiter.code()).toBe(0)
  })

  test('gets the lock of a killed process at once, with --nonblock and without', async () => {
    const start = { file: join(place.folder, 'storelock.db'), duration: 60_000, maxBackoff: 60_000 }
    for (const options of [['--nonblock'], ['--timeout', '20s']]) {
      const holder = await startContext(start)
      await holder.does.acquire('job')
      expect(await run('true', '--nonblock', '--store', start.file).code()).toBe(1)
      await holder.kill()
      expect(await run('true', ...options, '--store', start.file).code()).toBe(0)
    }
  })

  test('ends with 124 if the lock is not free in time, and leaves the queue', async () => {
    const holder = run(works, '--label', 'the holder')
    await groupOf(holder)
    const waiter = run('true', '--timeout', '200ms')
    expect(await waiter.code()).toBe(124)
    const shown = storelock(['show', 'job', '--json'])
    await shown.code()
    expect(JSON.parse(shown.printed)).toMatchObject({ holders: [{ label: 'the holder' }], queue: [] })
  })

  test('says who holds the lock, and runs once it is free', async () => {
    const holder = run('echo "group $$ "; read -r line', '--label', 'the holder')
    await groupOf(holder)
    const waiter = run('echo mine', '--verbose')
    expect(await waiter.shows(/held by (.*), for/)).toBe('the holder')
    holder.child.stdin?.end('\n')
    expect(await waiter.code()).toBe(0)
    expect(waiter.printed).toBe('mine\n')
  })

  test('lets shared holders run together', async () => {
    const [first, second] = [run(works, '--shared'), run(works, '--shared')]
    await Promise.all([groupOf(first), groupOf(second)])
  })

  test('lets as many holders run together as --limit says, and refuses another limit', async () => {
    const [first, second] = [run(works, '--limit', '2'), run(works, '--limit', '2')]
    await Promise.all([groupOf(first), groupOf(second)])
    expect(await run('true', '--limit', '2', '--nonblock').code()).toBe(1)
    const other = run('true', '--limit', '3', '--nonblock')
    expect(await other.code()).toBe(125)
    expect(other.said).toContain('"job" is held or waited for with a limit of 2, so it cannot be requested with a limit of 3 meanwhile')
    first.child.kill('SIGTERM')
    const third = run('echo mine', '--limit', '2')
    expect(await third.code()).toBe(0)
    expect(third.printed).toBe('mine\n')
  })

  test('stops waiting and leaves the queue when it is interrupted', async () => {
    const holder = run(works)
    await groupOf(holder)
    const waiter = run('true', '--verbose')
    await waiter.shows(/(waiting for)/)
    waiter.child.kill('SIGINT')
    expect(await waiter.ending()).toBe('SIGINT')
    const shown = storelock(['show', 'job', '--json'])
    await shown.code()
    expect(JSON.parse(shown.printed).queue).toEqual([])
  })
})

describe('signals', { timeout: 60_000 }, () => {
  test.each(['INT', 'TERM', 'HUP', 'QUIT', 'USR1', 'USR2'] as const)('run passes %s to the command, and ends with its exit code', async (name) => {
    const program = run(`trap 'exit 42' ${name}; ${works}`)
    await groupOf(program)
    program.child.kill(`SIG${name}`)
    expect(await program.code()).toBe(42)
    expect(await isFree()).toBe(true)
  })

  test.each(['KILL', 'TERM', 'PIPE', 'USR1'] as const)('if %s ends the command, run ends by it too, and the lock is free', async (name) => {
    const program = run(works)
    process.kill(await groupOf(program), `SIG${name}`)
    expect(await program.ending()).toBe(`SIG${name}`)
    expect(await isFree()).toBe(true)
  })

  test('TERM ends run at any moment of a hand-off', async () => {
    for (let moment = 0; moment < 60; moment += 6) {
      const holder = run('echo "group $$ "; read -r line')
      await groupOf(holder)
      const program = run(works, '--verbose')
      await program.shows(/(waiting for)/)
      holder.child.stdin?.end('\n')
      await new Promise((resolve) => setTimeout(resolve, moment))
      program.child.kill('SIGTERM')
      expect(await program.ending()).toBe('SIGTERM')
      await holder.ending()
    }
  })

  test('run waits for a command that ignores TERM, and keeps the lock', async () => {
    const program = run(`trap 'echo heard' TERM; ${works}`)
    const group = await groupOf(program)
    program.child.kill('SIGTERM')
    await program.shows(/(heard)/)
    expect(await run('true', '--nonblock').code()).toBe(1)
    process.kill(-group, 'SIGKILL')
    expect(await program.ending()).toBe('SIGKILL')
  })

  test('Ctrl-C on a terminal reaches the command once, and run ends with its exit code', async () => {
    const script = `trap 'echo heard; exit 42' INT; ${works}`
    const command = [process.execPath, place.main, 'run', 'job', '--', 'sh', '-c', script]
      .map((word) => `'${word.replaceAll("'", `'\\''`)}'`)
      .join(' ')
    // Without exec the shell would stay in the foreground, and Ctrl-C would kill it.
    const program = new Program(['script', '-qec', `exec ${command}`, '/dev/null'], { cwd: place.folder })
    await groupOf(program)
    program.child.stdin?.write('\u0003')
    expect(await program.code()).toBe(42)
    expect(program.printed.match(/heard/g)).toHaveLength(1)
  })

  test('TSTP stops the command and run, CONT continues both', async () => {
    const program = run('echo "group $$ "; read -r line; echo "$line"')
    const group = await groupOf(program)
    program.child.kill('SIGTSTP')
    await until(() => stateOf(group) === 'T' && stateOf(program.pid) === 'T')
    program.child.stdin?.end('done\n')
    program.child.kill('SIGCONT')
    expect(await program.code()).toBe(0)
    expect(program.printed).toMatch(/done\n$/)
  })

  test('a stopped command keeps the lock for longer than its lease', async () => {
    const program = run('echo "group $$ "; read -r line', '--duration', '3s')
    const group = await groupOf(program)
    process.kill(-group, 'SIGSTOP')
    expect(await run('true', '--timeout', '6s').code()).toBe(124)
    process.kill(-group, 'SIGCONT')
    program.child.stdin?.end('\n')
    expect(await program.code()).toBe(0)
  })

  test('with --foreground the command stays in the process group of run', async () => {
    const program = storelock(['run', 'job', '--foreground', '--', 'sh', '-c', 'ps -o pgid= -p $$'], { detached: true })
    expect(await program.code()).toBe(0)
    expect(Number(program.printed)).toBe(program.pid)
  })
})

describe('no other run gets the lock while the command works', { timeout: 60_000 }, () => {
  test('even if run is killed, and the command and its children ignore TERM', async () => {
    const program = run(deaf, '--duration', '2s')
    const group = await groupOf(program)
    const grandchild = await grandchildOf(program)
    program.child.kill('SIGKILL')
    const other = next(group)
    expect(await other.code()).toBe(0)
    expect(other.printed).toBe('gone\n')
    expect(isAlive(grandchild)).toBe(false)
  })

  test('even if run is stopped; it ends with 125 when it continues', async () => {
    const program = run(deaf, '--duration', '2s')
    const group = await groupOf(program)
    const grandchild = await grandchildOf(program)
    program.child.kill('SIGSTOP')
    const other = run(`grep -q '^[0-9]* ([^)]*) [^Z]' /proc/${group}/stat 2>/dev/null && echo alive || echo gone`)
    expect(await other.code()).toBe(0)
    expect(other.printed).toBe('gone\n')
    expect(isAlive(grandchild)).toBe(false)
    program.child.kill('SIGCONT')
    expect(await program.code()).toBe(125)
    expect(program.said).toContain('lost "job"')
  })

  test('even if run is killed together with the whole group of its terminal', async () => {
    const program = storelock(['run', 'job', '--duration', '2s', '--', 'sh', '-c', deaf], { detached: true })
    const group = await groupOf(program)
    process.kill(-program.pid, 'SIGINT')
    process.kill(-program.pid, 'SIGKILL')
    const other = next(group)
    expect(await other.code()).toBe(0)
    expect(other.printed).toBe('gone\n')
  })

  test('even if the guardian is killed first: another takes its place', async () => {
    const program = run(works, '--duration', '6s')
    const group = await groupOf(program)
    const guardian = await until(() => guardianOf(program.pid))
    process.kill(guardian, 'SIGKILL')
    await until(() => guardianOf(program.pid) !== guardian && guardianOf(program.pid))
    program.child.kill('SIGKILL')
    await until(() => !isAlive(group))
  })
})

test('no guardian stays behind', { timeout: 60_000 }, async () => {
  const program = run('echo "group $$ "; read -r line')
  await groupOf(program)
  const guardian = await until(() => guardianOf(program.pid))
  program.child.stdin?.end('\n')
  expect(await program.code()).toBe(0)
  await until(() => !isAlive(guardian))
})

describe('a lock that is lost', { timeout: 60_000 }, () => {
  test('ends the command and all processes that it has started', async () => {
    const program = run(deaf, '--duration', '2s')
    const group = await groupOf(program)
    const grandchild = await grandchildOf(program)
    expect(await storelock(['revoke', 'job']).code()).toBe(0)
    expect(await program.code()).toBe(125)
    expect(program.said).toContain('lost "job": it was revoked')
    expect([isAlive(group), isAlive(grandchild)]).toEqual([false, false])
  })

  test('ends the command, if the store could not be written for the whole duration', async () => {
    const program = run(deaf, '--duration', '1s')
    const parts = [await groupOf(program), await grandchildOf(program)]
    const db = new Database(join(place.folder, 'storelock.db'))
    db.exec('BEGIN IMMEDIATE')
    expect(await program.code()).toBe(125)
    expect(program.said).toContain('lost "job": it was not renewed in time')
    expect(parts.map(isAlive)).toEqual([false, false])
    db.close()
  })

  test('because the command ran for longer than --max-hold is free only after the command has ended', async () => {
    const program = run(deaf, '--duration', '2s', '--max-hold', '3s')
    const group = await groupOf(program)
    const after = next(group)
    expect(await program.code()).toBe(125)
    expect(program.said).toContain('lost "job": the command ran for longer than --max-hold 3s')
    expect(await after.code()).toBe(0)
    expect(after.printed).toBe('gone\n')
  })

  test('lets the command end in its own way within the grace', async () => {
    const program = run(`trap 'echo "tidied up"; exit' TERM; ${works}`)
    await groupOf(program)
    expect(await storelock(['revoke', 'job', '--yes']).code()).toBe(0)
    expect(await program.code()).toBe(125)
    expect(program.printed).toContain('tidied up')
  })
})

describe('a waiter for the lock of a run', { timeout: 60_000 }, () => {
  test('reaches the command: --on-ask sends it a signal', async () => {
    const program = run(`trap 'echo asked; exit' USR1; ${works}`, '--on-ask', 'USR1')
    await groupOf(program)
    const asking = storelock(['ask', 'job', '--message', 'a newer one waits'])
    expect(await asking.code()).toBe(0)
    expect(await program.code()).toBe(0)
    expect(program.printed).toContain('asked')
    expect(program.said).toContain('a newer one waits')
  })

  test('steals it after --steal-after-ask', async () => {
    const program = run(works)
    await groupOf(program)
    const thief = run('echo mine', '--steal-after-ask', '100ms')
    expect(await thief.code()).toBe(0)
    expect(await program.code()).toBe(125)
  })
})

describe('a run within a run', { timeout: 60_000 }, () => {
  const inner = (key: string): string => `"${process.execPath}" "${place.main}" run ${key} -- echo inner`

  test('of another key is fine', async () => {
    const program = run(inner('other'))
    expect(await program.code()).toBe(0)
    expect(program.printed).toBe('inner\n')
  })

  test('of the same key is refused at any depth, since it would wait for itself', async () => {
    const program = run(`"${process.execPath}" "${place.main}" run other -- ${inner('job')}`)
    expect(await program.code()).toBe(125)
    expect(program.said).toContain('it would wait for itself')
  })

  test('may take the same key once the outer one has ended', async () => {
    const program = run(`(while kill -0 $PPID; do sleep 0.05; done; ${inner('job')} > part; mv part late) > /dev/null 2>&1 &`)
    expect(await program.code()).toBe(0)
    await until(() => existsSync(join(place.folder, 'late')))
    expect(readFileSync(join(place.folder, 'late'), 'utf8')).toBe('inner\n')
  })
})

test('if two runs race with --nonblock, exactly one wins', { timeout: 120_000 }, async () => {
  const rounds = 20
  expect(await race(place.main, place.folder, rounds)).toEqual({ rounds, oneWinner: rounds })
})

describe('a store that another process keeps busy', { timeout: 60_000 }, () => {
  let db: Database.Database
  beforeEach(async () => {
    expect(await run('true').code()).toBe(0)
    db = new Database(join(place.folder, 'storelock.db'))
    db.exec('BEGIN IMMEDIATE')
  })
  afterEach(() => void db.close())

  test('delays no run beyond --timeout', async () => {
    const program = run('echo never', '--timeout', '300ms')
    expect(await program.code()).toBe(124)
    expect(program.printed).toBe('')
  })

  test('does not delay an interrupt', async () => {
    const program = run('echo never', '--nonblock')
    await until(() => openFilesOf(program.pid).some((file) => file.endsWith('storelock.db')))
    program.child.kill('SIGINT')
    expect(await program.ending()).toBe('SIGINT')
    expect(program.printed).toBe('')
  })
})

describe('a store that cannot be written', { timeout: 60_000 }, () => {
  const limited = (script: string): Program =>
    new Program(['sh', '-c', `${script}; exec "$0" "$@"`, process.execPath, place.main, 'run', 'job', '--', 'echo', 'never'], { cwd: place.folder })

  test('because its folder is missing is an error that says what to do', async () => {
    const program = storelock(['run', 'job', '--store', 'missing/app.db', '--', 'echo', 'never'])
    expect(await program.code()).toBe(125)
    expect(program.said).toContain('create the directory missing first')
    expect(program.printed).toBe('')
  })

  test('because the disk is full is an error that says what to do', async () => {
    const program = limited('ulimit -f 1')
    expect(await program.code()).toBe(125)
    expect(program.said).toMatch(/the disk (is full|cannot be written)/)
    expect(program.printed).toBe('')
  })

  test('because it is not a database is an error that says what to do', async () => {
    const program = storelock(['run', 'job', '--store', place.main, '--', 'echo', 'never'])
    expect(await program.code()).toBe(125)
    expect(program.said).toContain('name a SQLite database')
  })
})
