import { join } from 'node:path'
import Database from 'better-sqlite3'
import { beforeEach, describe, expect, test } from 'vitest'
import { sqliteStore } from '../src/stores/sqlite.ts'
import { childrenOf, isAlive, Program, until } from './cli/program.ts'
import { groupOf, works } from './cli/scripts.ts'
import { withProgram } from './cli/setup.ts'
import { findShells, type Shell } from './cli/shells.ts'

// A lock that a shell holds for the steps of a script.
const place = withProgram()

// The database exists before each test, since the command reports a new one on stderr.
beforeEach(() => sqliteStore(join(place.folder, 'storelock.db')).close())

const start = (command: readonly string[]): Program => new Program(command, { cwd: place.folder })
const storelock = (...args: readonly string[]): Program => start([place.program, ...args])
const script = ({ command }: Shell, text: string): Program => start([...command, text.replaceAll('storelock ', `${place.program} `)])

/** Whether another run gets the lock at once. */
const isFree = async (): Promise<boolean> => (await storelock('run', 'job', '-n', 'true').ending()) === 0

const holders = async (): Promise<{ metadata: { holder: number } }[]> => {
  const shown = storelock('show', 'job', '--json')
  expect(await shown.ending()).toBe(0)
  return JSON.parse(shown.printed).holders
}

const shells = findShells()
const [bash] = shells as [Shell]

describe.each(shells)('in $name', { timeout: 60_000 }, (shell) => {
  test('the steps between lock and unlock run under the lock', async () => {
    const program = script(
      shell,
      `storelock lock job; echo ${shell.status}; storelock run job -n true; echo ${shell.status}; storelock unlock job; echo ${shell.status}; storelock run job -n true; echo ${shell.status}; true`,
    )
    expect(await program.ending()).toBe(0)
    expect([program.printed, program.said]).toEqual(['0\n1\n0\n0\n', ''])
  })

  test('a lock is released when its shell ends, however it ends', async () => {
    for (const end of ['true', `kill -9 ${shell.self}; true`]) {
      const program = script(shell, `storelock lock job; echo "locked "; cat; ${end}`)
      await program.shows(/(locked) /)
      expect(await isFree()).toBe(false)
      program.child.stdin?.end()
      await program.ending()
      expect(await storelock('run', 'job', '-w', '30s', 'true').ending()).toBe(0)
    }
  })

  test('lock waits, and ends like run if it does not get it', async () => {
    const holder = storelock('run', 'job', 'sh', '-c', works)
    await groupOf(holder)
    const program = script(
      shell,
      `storelock lock job -n; echo ${shell.status}; storelock lock job -n -E 75; echo ${shell.status}; storelock lock job -w 100ms; echo ${shell.status}; echo "waits "; storelock lock job -w 30s; echo ${shell.status}; true`,
    )
    await program.shows(/(waits) /)
    holder.child.kill('SIGTERM')
    expect(await program.ending()).toBe(0)
    expect(program.printed).toBe('1\n75\n124\nwaits \n0\n')
  })

  test.runIf(shell.descriptor)('hold keeps the lock as long as its descriptor is open', async () => {
    const { open = '', close = '' } = shell.descriptor?.('storelock hold job') ?? {}
    const program = script(shell, `${open}; echo "$line "; cat; ${close}; echo "closed "; cat /dev/stdin; true`)
    expect(await program.shows(/(held job \d+) /)).toMatch(/^held/)
    expect(await isFree()).toBe(false)
    program.child.stdin?.end()
    await program.shows(/(closed) /)
    expect(await storelock('run', 'job', '-w', '30s', 'true').ending()).toBe(0)
  })

  test.runIf(shell.descriptor)('hold ends with the shell, and its descriptor reports that the lock was not free', async () => {
    const { open = '' } = shell.descriptor?.('storelock hold job') ?? {}
    const program = script(shell, `${open}; echo "$line "; sh -c '${works}'; true`)
    await program.shows(/(held job \d+) /)
    const child = await groupOf(program)
    const second = script(shell, `${shell.descriptor?.('storelock hold job -n').open} || echo "not free"`)
    await second.ending()
    expect(second.printed).toBe('not free\n')
    program.child.kill('SIGKILL')
    // The child has inherited the descriptor, as it would inherit flock's.
    expect(await isFree()).toBe(false)
    process.kill(child, 'SIGKILL')
    expect(await storelock('run', 'job', '-w', '30s', 'true').ending()).toBe(0)
  })
})

describe('a lock that a shell holds', { timeout: 60_000 }, () => {
  test('ends the shell by TERM, or by the signal of --on-lost, if it is lost', async () => {
    const program = script(bash, 'storelock lock job; echo "locked "; read -r line')
    await program.shows(/(locked) /)
    expect(await storelock('revoke', 'job', '--yes').ending()).toBe(0)
    expect(await program.ending()).toBe('SIGTERM')
    const other = script(
      bash,
      'trap "echo lost; exit" USR1; exec {fd}< <(storelock hold job --on-lost USR1); read -r -u $fd; echo "locked "; while :; do sleep 0.1; done',
    )
    await other.shows(/(locked) /)
    expect(await storelock('revoke', 'job', '--yes').ending()).toBe(0)
    expect(await other.ending()).toBe(0)
    expect(other.printed).toContain('lost')
  })

  test('ends the shell by TERM before another session gets it, if the process that holds it is killed', async () => {
    const program = script(bash, 'storelock lock job --duration 2s; echo "locked "; read -r line')
    await program.shows(/(locked) /)
    const [{ metadata } = { metadata: { holder: 0 } }] = await holders()
    process.kill(metadata.holder, 'SIGKILL')
    const next = storelock('run', 'job', 'sh', '-c', `kill -0 ${program.pid} 2>/dev/null && echo alive || echo gone`)
    expect(await next.ending()).toBe(0)
    expect(next.printed).toBe('gone\n')
    expect(await program.ending()).toBe('SIGTERM')
  })

  test('is not taken if the wait for it is interrupted', async () => {
    const holder = storelock('run', 'job', 'sh', '-c', works)
    await groupOf(holder)
    const program = script(bash, 'storelock lock job --verbose; echo "the script goes on"')
    await program.shows(/(waiting for)/)
    const waiting = await until(() => childrenOf(program.pid)[0])
    process.kill(waiting, 'SIGINT')
    process.kill(program.pid, 'SIGINT')
    expect(await program.ending()).toBe('SIGINT')
    const queue = async (): Promise<number> => {
      const shown = storelock('show', 'job', '--json')
      await shown.ending()
      return JSON.parse(shown.printed).queue.length
    }
    while ((await queue()) > 0);
  })

  test('is refused if the shell already holds it, and unlock is refused if the shell does not', async () => {
    const program = script(
      bash,
      'storelock lock other; storelock unlock job; echo $?; storelock lock job; storelock lock job; echo $?; (storelock unlock job; echo $?; true)',
    )
    expect(await program.ending()).toBe(0)
    expect(program.printed).toBe('1\n125\n1\n')
    expect(program.said).toMatch(/is not held by this shell\n.*holds job already.*\n.*is not held by this shell\n/)
  })

  test('may belong to another process, which --pid names', async () => {
    const program = script(
      bash,
      '(storelock lock job --pid $$; true); echo $?; storelock run job -n true; echo $?; (storelock unlock job --pid $$; true); echo $?',
    )
    expect(await program.ending()).toBe(0)
    expect(program.printed).toBe('0\n1\n0\n')
  })

  test('is not released by a signal to a process that the store names falsely', async () => {
    const victim = storelock('run', 'other', 'sh', '-c', works)
    const group = await groupOf(victim)
    const program = script(bash, 'storelock lock job; echo "locked "; read -r line; storelock unlock job; echo $?; true')
    await program.shows(/(locked) /)
    const db = new Database(join(place.folder, 'storelock.db'))
    const tables = db.prepare(`SELECT name FROM sqlite_master WHERE type = 'table'`).pluck().all() as string[]
    const [{ metadata } = { metadata: { holder: 0 } }] = await holders()
    let changed = 0
    for (const table of tables) {
      for (const { name } of db.prepare(`SELECT name FROM pragma_table_info('${table}') WHERE type = 'TEXT'`).all() as { name: string }[])
        changed += db
          .prepare(`UPDATE "${table}" SET "${name}" = replace("${name}", '"holder":${metadata.holder}', '"holder":${victim.pid}')`)
          .run().changes
    }
    expect(changed).toBeGreaterThan(0)
    db.close()
    program.child.stdin?.write('\n')
    expect(await program.ending()).toBe(0)
    expect(program.printed).toContain('1\n')
    expect(isAlive(group)).toBe(true)
  })
})
