import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { sqliteStore } from '../src/stores/sqlite.ts'
import { childrenOf, guardianOf, Program, send, until } from './cli/program.ts'
import { groupOf, works } from './cli/scripts.ts'
import { withProgram } from './cli/setup.ts'

// `run` in the places where scripts use flock(1): the same facts hold for both.
const place = withProgram()

// The database exists before each test, since the command reports a new one on stderr.
beforeEach(() => sqliteStore(join(place.folder, 'storelock.db')).close())

const shell = (script: string, options: { readonly shell?: string; readonly env?: NodeJS.ProcessEnv } = {}): Program =>
  new Program([options.shell ?? 'bash', '-c', script], { cwd: place.folder, env: { ...process.env, ...options.env } })

/** How to run a command under a lock: ours, and flock's. */
const tools = [
  ['storelock run', (command: string, options = '') => `${place.program} run job ${options} -- ${command}`],
  ['flock', (command: string) => `flock -o ${join(place.folder, 'file')} ${command}`],
] as const

/** The output of a script. */
async function output(script: string, options: Parameters<typeof shell>[1] = {}): Promise<string> {
  const program = shell(script, options)
  await program.ending()
  return `${program.printed}${program.said}`
}

describe.each(tools)('under %s', { timeout: 60_000 }, (tool, under) => {
  test('Ctrl-C ends the script, not only the command', async () => {
    writeFileSync(join(place.folder, 'script'), `${under(`sh -c '${works}'`)}\necho "the script goes on"\n`)
    const terminal = new Program(['script', '-qec', 'bash script', '/dev/null'], { cwd: place.folder })
    await groupOf(terminal)
    terminal.child.stdin?.write('\u0003')
    await terminal.ending()
    expect(terminal.printed).not.toContain('the script goes on')
  })

  test('Ctrl-C ends the script while it only waits', async () => {
    const holder = shell(under(`sh -c '${works}'`))
    const group = await groupOf(holder)
    // A killed flock leaves its command running.
    onTestFinished(() => send(group, 'SIGKILL'))
    const script = `echo "shell $$ "; ${under('true', '--verbose')}; echo "the script goes on"`
    const terminal = new Program(['script', '-qec', `bash -c '${script}'`, '/dev/null'], { cwd: place.folder })
    const parent = Number(await terminal.shows(/shell (\d+) /))
    if (tool === 'flock') await until(() => childrenOf(parent).length === 1)
    else await terminal.shows(/(waiting for)/)
    terminal.child.stdin?.write('\u0003')
    await terminal.ending()
    expect(terminal.printed).not.toContain('the script goes on')
  })

  test('the command ignores the same signals as its caller', async () => {
    const ignored = 'grep SigIgn /proc/self/status'
    expect(await output(`trap '' INT HUP USR2 PIPE; ${under(ignored)}`)).toBe(await output(`trap '' INT HUP USR2 PIPE; ${ignored}`))
    expect(await output(under(ignored))).toBe(await output(ignored))
  })

  test('nohup protects the command from a hang-up', async () => {
    const program = shell(`exec nohup ${under(`sh -c 'echo "group $$ "; read -r line; echo "$line"'`)}`)
    await groupOf(program)
    for (const pid of [program.pid, ...childrenOf(program.pid)]) send(pid, 'SIGHUP')
    program.child.stdin?.end('still here\n')
    expect(await program.ending()).toBe(0)
    expect(program.printed).toContain('still here')
  })

  test('the command gets variables whose names are not identifiers, and functions that bash exports', async () => {
    const env = { 'A.B': 'one\ntwo', 'c-d': '', '1st': 'ü', IFS: ',' }
    const seen = `env -0 | tr "\\0" "|" | grep -azoE "(A.B|c-d|1st|IFS)=[^|]*" | sort -z | tr "\\0" ";"`
    expect(await output(`env -S ${under(`bash -p -c '${seen}'`)}`, { shell: 'bash', env })).toBe(await output(`bash -p -c '${seen}'`, { env }))
    expect(await output(`f() { echo "a function of $1"; }; export -f f; ${under(`bash -c 'f bash'`)}`)).toBe('a function of bash\n')
  })

  test('the command gets every other variable as it was, and no new one', async () => {
    const names = ['at', 'given', 'name', 'open', 'path', 'self', 'value', 'variable', 'word']
    const env = Object.fromEntries(names.map((name) => [name, `the caller’s ${name}`]))
    const seen = `printenv ${names.join(' ')}`
    expect(await output(under(seen), { env })).toBe(await output(seen, { env }))
    const rest = '-i PATH="$PATH" HOME=here'
    const ours = `| grep -v ^STORELOCK_ | sort`
    expect(await output(`env ${rest} ${under('env')} ${ours}`)).toBe(await output(`env ${rest} env ${ours}`))
    expect(await output(`env ${rest} PWD="$PWD" SHLVL=7 ${under('env')} ${ours}`)).toBe(await output(`env ${rest} PWD="$PWD" SHLVL=7 env ${ours}`))
  })

  test('the command gets the open descriptors and no others', async () => {
    const seen = `bash -c 'for n in {0..20}; do [ -e /proc/$$/fd/$n ] && printf "$n "; done'`
    const open = 'exec 3>&1 5</dev/null 12<&0'
    expect(await output(`${open}; ${under(seen)}`)).toBe(await output(`${open}; ${seen}`))
    expect(await output(under(seen))).toBe(await output(seen))
    expect(await output(`exec 3>&1; ${under(`sh -c 'echo by three >&3'`)}`)).toBe('by three\n')
    expect(await output(`exec 3>&1 4>&1 5>&1 6>&1 7>&1 8>&1 9>&1; ${under(`sh -c 'echo by nine >&9'`)}`)).toBe('by nine\n')
    expect(await output(`exec <&-; ${under('readlink /proc/self/fd/0')} || echo closed`)).toBe('closed\n')
  })

  test('make’s jobserver works', async () => {
    writeFileSync(join(place.folder, 'Makefile'), `all:\n\t+@${under('$(MAKE) -s inner')}\ninner: one two\none two:\n\t@echo $@\n`)
    const program = shell('make -j2 all')
    expect(await program.ending()).toBe(0)
    expect(program.said).not.toContain('jobserver')
    expect(program.printed.split('\n').sort().join(' ').trim()).toBe('one two')
  })

  test('the command gets the soft limits of its caller', async () => {
    const limits = `sh -c 'ulimit -S -n; ulimit -H -n; ulimit -S -c'`
    expect(await output(`ulimit -S -n 300; ${under(limits)}`)).toBe(await output(`ulimit -S -n 300; ${limits}`))
  })
})

describe('storelock run', { timeout: 60_000 }, () => {
  const run = (script: string, ...options: readonly string[]): Program =>
    new Program([place.program, 'run', 'job', ...options, '--', 'sh', '-c', script], { cwd: place.folder })

  test('needs no -- before a command, which keeps its own options', async () => {
    const storelock = (...args: readonly string[]): Program => new Program([place.program, 'run', ...args], { cwd: place.folder })
    for (const before of [['job'], ['-n', 'job'], ['job', '-w', '5s'], ['job', '-w5s', '-v', '--label=x'], ['-vw', '5s', '--', 'job']]) {
      const program = storelock(...before, 'echo', '-n', '--help', '-w', '1', '--', 'x')
      expect(await program.ending()).toBe(0)
      expect(program.printed).toBe('--help -w 1 -- x')
    }
    const program = storelock('job', '--', 'echo', '--', 'x')
    expect(await program.ending()).toBe(0)
    expect(program.printed).toBe('-- x\n')
    expect(await storelock('job', '--nosuch', 'true').ending()).toBe(125)
  })

  test('with --foreground ends by the signal that ended its command', async () => {
    const program = run(works, '--foreground')
    process.kill(await groupOf(program), 'SIGINT')
    expect(await program.ending()).toBe('SIGINT')
  })

  test.each(['TERM', 'HUP', 'INT'])('does not pass on a %s that the command got as well, as when systemd stops a unit', async (name) => {
    const program = run(`trap 'echo heard' ${name}; trap 'echo "heard once"; exit' USR1; ${works.replace('1', '0.1')}`)
    const group = await groupOf(program)
    const guardian = await until(() => guardianOf(program.pid))
    for (const pid of [program.pid, group, guardian]) process.kill(pid, `SIG${name}`)
    await program.shows(/(heard)\n/)
    // By then run would have passed it on.
    await new Promise((resolve) => setTimeout(resolve, 300))
    program.child.kill('SIGUSR1')
    expect(await program.ending()).toBe(0)
    expect(program.printed.match(/heard\n/g)).toHaveLength(1)
  })

  test('hands systemd’s sockets to the command', async () => {
    const script = `LISTEN_PID=$$ LISTEN_FDS=1 exec ${place.program} run job -- sh -c '[ "$LISTEN_PID" = $$ ] && echo "$LISTEN_FDS by $(readlink /proc/self/fd/3)"'`
    expect(await output(`exec 3</dev/null; ${script}`)).toBe('1 by /dev/null\n')
  })

  test('reports that node is missing', async () => {
    mkdirSync(join(place.folder, 'bin'))
    for (const name of ['tr', 'sh']) symlinkSync(`/usr/bin/${name}`, join(place.folder, 'bin', name))
    const program = new Program(['/bin/sh', '-c', `${place.program} run job true`], { cwd: place.folder, env: { PATH: join(place.folder, 'bin') } })
    expect(await program.code()).toBe(125)
    expect(program.said).toBe('storelock: there is no node in PATH\n')
  })
})

describe('output', { timeout: 60_000 }, () => {
  test.each([
    ['is full', '>/dev/full', 125],
    ['is closed', '>&-', 125],
    ['is a pipe that nobody reads', '| sleep 0; exit $PIPESTATUS', 141],
  ])('that %s is an error', async (_, where, code) => {
    expect(await shell(`${place.program} run job -- true`).ending()).toBe(0)
    for (const command of ['ls --all', 'ls --json', '--help', 'show job']) {
      const program = shell(`{ sleep 0.2; exec ${place.program} ${command}; } ${where}`)
      expect([command, await program.ending()]).toEqual([command, code])
      if (code === 125) expect(program.said).toContain('storelock: cannot write the output: ')
      else expect(program.said).toBe('')
    }
  })
})

describe('a time of many days', { timeout: 60_000 }, () => {
  const storelock = (...args: readonly string[]): Program => new Program([place.program, ...args], { cwd: place.folder })

  test('is how long run, ask and watch wait', async () => {
    const holder = storelock('run', 'job', '--', 'sh', '-c', works)
    await groupOf(holder)
    const watching = storelock('watch', '--interval', '30d', '--json')
    expect(await watching.shows(/(held)/)).toBe('held')
    const waiters = [storelock('run', 'job', '-w', '30d', '--', 'true'), storelock('ask', 'job', '-w', '30d')]
    const queue = async (): Promise<number> => {
      const show = storelock('show', 'job', '--json')
      await show.ending()
      return JSON.parse(show.printed).queue.length
    }
    while ((await queue()) < 2);
    // If watch did not wait, it would look a hundred times during each of these looks.
    for (let look = 0; look < 3; look++) expect(await queue()).toBe(2)
    expect(watching.printed).not.toContain('waits')
    holder.child.kill('SIGTERM')
    expect(await Promise.all(waiters.map((waiter) => waiter.ending()))).toEqual([0, 0])
  })

  test('may be the --max-hold of a run', async () => {
    const program = storelock('run', 'job', '--max-hold', '30d', '--', 'sleep', '0.5')
    expect(await program.ending()).toBe(0)
    expect(program.said).toBe('')
  })
})
