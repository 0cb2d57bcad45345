import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { root } from '../test/house/installed.ts'
import { childrenOf, guardianOf, isAlive, Program, send, until } from './cli/program.ts'
import { groupOf } from './cli/scripts.ts'
import { withProgram } from './cli/setup.ts'

// The guardian on systems that lack something: it ends the command when it must, and only then.
const place = withProgram()

const canMount = spawnSync('unshare', ['--mount', '--pid', '--fork', 'true']).status === 0
const isRoot = process.getuid?.() === 0
const hasBusybox = spawnSync('busybox', ['true']).status === 0
for (const [has, what] of [
  [canMount, 'unshare(1) may not mount: the guardian is not tested in systems that lack something'],
  [isRoot, 'not root: the guardian is not tested with a limit on processes'],
  [hasBusybox, 'busybox is not installed: the guardian is not tested with its shell'],
] as const)
  if (!has) console.log(what)

/** A command that runs for so long, on a system that may have no program other than Node. */
const work = (ms: number): string[] => [process.execPath, '-e', `console.log('group ' + process.pid + ' '); setTimeout(console.log, ${ms}, 'done')`]

const duration = 1_200

const under = (command: readonly string[]): string[] => [place.program, 'run', 'job', '--duration', `${duration}ms`, '--', ...command]

/** Runs a command on a system that a script has changed. */
const inWorld = (script: string, command: readonly string[], unshare: readonly string[] = []): Program =>
  new Program(['unshare', '--mount', ...unshare, 'sh', '-c', `set -e; ${script}\nexec "$@"`, 'world', ...command], { cwd: place.folder })

const noSleep = 'for folder in /bin /usr/bin /usr/local/bin; do [ ! -e $folder/sleep ] || mount --bind /dev/null $folder/sleep; done'

/** Systems, each by the script that turns the present one into it. */
const worlds: Readonly<Record<string, () => string>> = {
  'without sleep': () => noSleep,
  'whose sleep knows no fractions of a second': () => {
    const program = join(place.folder, 'whole')
    writeFileSync(program, `#!/bin/sh\ncase $1 in *.*) echo "invalid number '$1'" >&2; exit 1 ;; esac\nexec sleep "$1"\n`)
    chmodSync(program, 0o755)
    return noSleep.replaceAll('/dev/null', program)
  },
  'with a read-only root': () =>
    `mount --bind ${place.folder} ${place.folder}; mount --bind ${join(root, 'out')} ${join(root, 'out')}; mount -o remount,bind,ro /; mount -t tmpfs -o ro tmpfs /dev/shm`,
  'without /proc': () => 'mount -t tmpfs -o ro tmpfs /proc',
  ...(hasBusybox && {
    'of busybox': () => {
      const programs = join(place.folder, 'programs')
      mkdirSync(programs)
      const applets = `for name in $(busybox --list); do ln -s busybox ${programs}/$name; done; cp $(command -v busybox) ${programs}`
      // Node and the program that starts it stay in place.
      return `${applets}; cp ${process.execPath} ${programs}/node; mount --bind ${programs} /usr/bin; mount --bind ${programs} /bin; sh --help 2>&1 | grep -q BusyBox`
    },
  }),
}

describe.runIf(canMount).each(Object.keys(worlds))('on a system %s', { timeout: 60_000 }, (name) => {
  const world = (): string => worlds[name]?.() as string

  test('the command keeps running for longer than the duration', async () => {
    const program = inWorld(world(), under(work(2.5 * duration)))
    expect(await program.ending()).toBe(0)
    expect(program.printed).toContain('done')
  })

  test('the command ends if run is killed', async () => {
    const program = inWorld(world(), under(work(600_000)))
    const group = await groupOf(program)
    program.child.kill('SIGKILL')
    await until(() => !isAlive(group))
  })

  test('the command ends if run is stopped', async () => {
    const program = inWorld(world(), under(work(600_000)))
    const group = await groupOf(program)
    program.child.kill('SIGSTOP')
    await until(() => !isAlive(group))
    program.child.kill('SIGCONT')
    expect(await program.ending()).toBe(125)
  })
})

describe('the guardian', { timeout: 60_000 }, () => {
  const start = (command: readonly string[], env: NodeJS.ProcessEnv = {}): Program =>
    new Program(command, { cwd: place.folder, env: { ...process.env, ...env } })

  test.each(['', '.', '/nonexistent', 'bin'])('never runs a sleep program from PATH=%j', async (path) => {
    mkdirSync(join(place.folder, 'bin'))
    writeFileSync(join(place.folder, 'bin', 'sleep'), '#!/bin/sh\n', { mode: 0o755 })
    const [, ...rest] = under(work(2 * duration))
    expect(await start([process.execPath, place.main, ...rest], { PATH: path && join(place.folder, path) }).ending()).toBe(0)
  })

  test('is replaced if it is killed, with or without its timer, and the command goes on', async () => {
    const program = start(under(work(3.5 * duration)))
    await groupOf(program)
    const guardian = await until(() => guardianOf(program.pid))
    process.kill(guardian, 'SIGKILL')
    const next = await until(() => guardianOf(program.pid) !== guardian && guardianOf(program.pid))
    process.kill(-next, 'SIGKILL')
    await until(() => guardianOf(program.pid) !== next && guardianOf(program.pid))
    expect(await program.ending()).toBe(0)
  })

  /** The processes that a waiting run has made ready: its guardian, and the one that will be its command. */
  const readyOf = async (program: Program): Promise<{ readonly guardian: number; readonly gate: number }> => {
    const guardian = await until(() => guardianOf(program.pid))
    return { guardian, gate: await until(() => childrenOf(program.pid).find((pid) => isGate(pid))) }
  }

  test('of a run that waits has nothing to end, and ends with the run, as what was to be the command', async () => {
    const holder = start(under(work(600_000)))
    const group = await groupOf(holder)
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      const program = start(under(work(0)))
      const { guardian, gate } = await readyOf(program)
      program.child.kill(signal)
      await program.ending()
      await until(() => !isAlive(guardian) && !isAlive(gate))
    }
    expect(isAlive(group)).toBe(true)
    holder.child.kill('SIGTERM')
    await holder.ending()
  })

  test('does not keep a run that gives up from ending, even if what was to be the command is stopped', async () => {
    const holder = start(under(work(600_000)))
    await groupOf(holder)
    const [program = '', run = '', ...rest] = under(work(0))
    const waiting = start([program, run, '--timeout', '2s', ...rest])
    const { guardian, gate } = await readyOf(waiting)
    process.kill(gate, 'SIGSTOP')
    expect(await waiting.ending()).toBe(124)
    await until(() => !isAlive(guardian) && !isAlive(gate))
  })

  test.each(['nothing', 'guardian', 'gate', 'guardian and gate'])('guards the command after the wait, if meanwhile killed: %s', async (killed) => {
    const holder = start(under([process.execPath, '-e', `console.log('group ' + process.pid + ' '); process.stdin.resume()`]))
    await groupOf(holder)
    const program = start(under(work(600_000)))
    const ready = await readyOf(program)
    const isKilled = (name: 'guardian' | 'gate'): boolean => killed.split(' ').includes(name)
    for (const name of ['guardian', 'gate'] as const) {
      if (!isKilled(name)) continue
      process.kill(ready[name], 'SIGKILL')
      await until(() => !isAlive(ready[name]))
    }
    holder.child.stdin?.end()
    const group = await groupOf(program)
    expect(group === ready.gate).toBe(!isKilled('gate'))
    expect((await until(() => guardianOf(program.pid))) === ready.guardian).toBe(!isKilled('guardian'))
    program.child.kill('SIGKILL')
    await until(() => !isAlive(group))
  })

  test('lets the command run on if its sleep is killed again and again', async () => {
    const program = start(under(work(3 * duration)))
    await groupOf(program)
    const guardian = await until(() => guardianOf(program.pid))
    while (!program.over) {
      for (const pid of sleepsOf(guardian)) send(pid, 'SIGKILL')
      await sleep(50)
    }
    expect(await program.ending()).toBe(0)
  })

  test.runIf(canMount)('works with run as the first process of a container, and the container ends with 128 + n', async () => {
    const container = ['--pid', '--fork', '--mount-proc']
    expect(await inWorld('', under(work(2 * duration)), container).ending()).toBe(0)
    const program = inWorld('', under(work(600_000)), container)
    await groupOf(program)
    const [first] = readFileSync(`/proc/${program.pid}/task/${program.pid}/children`, 'utf8').split(' ')
    process.kill(Number(first), 'SIGTERM')
    expect(await program.ending()).toBe(143)
  })

  test.runIf(isRoot)('is required: if a process limit forbids it or the command, run fails before the command starts', async () => {
    for (const folder of [place.folder, dirname(place.main)]) chmodSync(folder, 0o777)
    const ends = new Set<string>()
    // The limit counts all processes and threads of the user. If it is too low, Node itself aborts or hangs.
    for (let limit = 8; limit < 24 && !ends.has('worked'); limit++) {
      const as = ['setpriv', '--reuid=61234', '--regid=61234', '--clear-groups', 'prlimit', `--nproc=${limit}`, 'timeout', '5']
      const program = start([...as, process.execPath, place.main, 'run', 'job', '--', 'echo', 'began'])
      const ending = await program.ending()
      if (ending === 0) ends.add('worked')
      else if (program.printed.includes('began')) ends.add(`began and ended with ${ending}: ${program.said}`)
      else if (program.said.includes('is there a limit on processes?') && ending === 125) ends.add('refused')
    }
    expect([...ends].sort()).toEqual(['refused', 'worked'])
  })
})

/** Whether a process is the shell that will be a run's command. Before it is that shell, it is a copy of the run. */
function isGate(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('STORELOCK_GO')
  } catch {
    return false
  }
}

function sleepsOf(guardian: number): number[] {
  return readdirSync('/proc').flatMap((name) => {
    try {
      const stat = readFileSync(`/proc/${Number(name)}/stat`, 'utf8')
      const [, , , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return stat.includes('(sleep)') && Number(session) === guardian ? [Number(name)] : []
    } catch {
      return []
    }
  })
}
