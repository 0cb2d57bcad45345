import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Built, buildProgram } from '../../e2e/cli/build.ts'
import { makeProgram } from '../../src/cli/program.ts'
import { createLocks, type Locks, type Store } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'

let built: Built
let folder: string
let store: Store
let locks: Locks

beforeAll(async () => {
  built = await buildProgram()
  folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  store = sqliteStore(join(folder, 'storelock.db'))
  locks = createLocks({ store, label: 'the holder' })
  for (const key of ['deploy', 'deploy two', 'a:b', 'evil\u001b[2J']) await locks.acquire(key)
  const team = createLocks({ store, namespace: 'team' })
  await team.acquire('job')
  await locks.pin('deploy', 'ticket 7')
  mkdirSync(join(folder, 'bin'))
  writeFileSync(join(folder, 'bin', 'storelock'), `#!/bin/sh\nexec "${process.execPath}" "${built.main}" "$@"\n`, { mode: 0o755 })
}, 120_000)
afterAll(async () => {
  built?.remove()
  await locks.close()
  await store.close()
  rmSync(folder, { recursive: true })
})

function execute(command: string, ...args: readonly string[]) {
  const env = { ...process.env, PATH: `${join(folder, 'bin')}:${process.env.PATH}`, HOME: folder }
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: folder, env, encoding: 'utf8' })
  if (error) throw error
  return { status, stdout, stderr }
}

/** Whether this machine has a program. */
const has = (program: string): boolean => !spawnSync(program, ['--version']).error

const words = (...typed: readonly string[]) => {
  const { status, stdout } = execute('storelock', 'completion', 'words', '--', ...typed)
  const found = stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split('\t')[0])
  return { status, found }
}

const commands = makeProgram()
  .commands.map((command) => command.name())
  .filter((name) => name !== 'completion')

describe('the words that may follow', { timeout: 60_000 }, () => {
  it('are all commands after the program’s name', () => {
    expect(words('').found).toEqual(expect.arrayContaining(commands))
    expect(words('re').found).toEqual(['revoke'])
    expect(words('help', 're').found).toEqual(['revoke'])
  })

  it('are the keys in the store where a key follows', () => {
    expect(words('show', '').found).toEqual(['@team/job', 'a:b', 'deploy', 'deploy two'])
    expect(words('show', '--store', 'storelock.db', 'de').found).toEqual(['deploy', 'deploy two'])
    expect(words('run', '--nonblock', '--timeout', '5s', '@').found).toEqual(['@team/job'])
    expect(words('unpin', 'deploy', '').found).toEqual(['ticket 7'])
  })

  it('are the options of the command, and the choices of an option', () => {
    expect(words('run', 'deploy', '--no').found).toEqual(['--nonblock'])
    expect(words('log', '--kind', 'gr').found).toEqual(['grant'])
  })

  it('are files where a file may follow, and nothing if the store is missing', () => {
    expect(words('ls', '--store', '')).toEqual({ status: 1, found: [] })
    expect(words('run', 'deploy', '--', '')).toEqual({ status: 1, found: [] })
    expect(words('show', '--store', 'missing.db', '').found).toEqual([])
  })
})

describe('completion', { timeout: 60_000 }, () => {
  it.each([
    ['storelock rev', ['revoke']],
    ['storelock show de', ['deploy', 'deploy\\ two']],
    ['storelock show a:', ['b']],
    ['storelock show @team/', ['team/job']],
    ['storelock ls --store ', []],
  ])('in bash of `%s` is %j', (line, found) => {
    const script = `source <(storelock completion bash)
      COMP_LINE=${JSON.stringify(line)} COMP_POINT=\${#COMP_LINE} COMPREPLY=()
      _storelock; printf '%s\\n' "\${COMPREPLY[@]}"`
    const { stdout, stderr } = execute('bash', '-c', script)
    expect(stderr).toBe('')
    expect(stdout.trim().split('\n').filter(Boolean)).toEqual(found)
  })

  it.runIf(has('fish'))('in fish offers commands and keys', () => {
    const script = (line: string) => `storelock completion fish | source; complete -C ${JSON.stringify(line)}`
    expect(execute('fish', '-c', script('storelock rev')).stdout).toMatch(/^revoke\ttake a lock/)
    expect(
      execute('fish', '-c', script('storelock show dep'))
        .stdout.split('\n')
        .map((line) => line.split('\t')[0]),
    ).toEqual(['deploy', expect.stringContaining('deploy'), ''])
    expect(execute('fish', '-c', script('storelock ls --store stor')).stdout).toContain('storelock.db')
  })

  it.runIf(has('zsh'))('in zsh offers commands and keys', () => {
    // zsh completes only in a terminal.
    const script = (
      line: string,
    ) => `zmodload zsh/zpty; zpty z zsh -f -i; zpty -w z 'PROMPT=; autoload -U compinit; compinit -u -D; eval "$(storelock completion zsh)"; echo re""ady'
      zpty -r z out '*ready*'; zpty -w -n z ${JSON.stringify(line)}$'\\t\\t'; zpty -r z out '*(deploy two|revoke)*'; print -r -- "$out"; zpty -d z`
    expect(execute('zsh', '-fc', script('storelock show dep')).stdout).toContain('deploy two')
    expect(execute('zsh', '-fc', script('storelock rev')).stdout).toContain('revoke')
  })

  it.each(['bash', 'zsh', 'fish'].filter(has))('has a script that %s can parse', (shell) => {
    writeFileSync(join(folder, `script.${shell}`), execute('storelock', 'completion', shell).stdout)
    expect(execute(shell, '-n', join(folder, `script.${shell}`))).toMatchObject({ status: 0, stderr: '' })
  })
})

describe('the manual page', { timeout: 60_000 }, () => {
  it.runIf(has('groff'))('is made from the --help texts, and has no errors', () => {
    const { stdout } = execute('storelock', 'man')
    writeFileSync(join(folder, 'storelock.1'), stdout)
    const { status, stdout: text, stderr } = execute('groff', '-man', '-Tutf8', '-ww', join(folder, 'storelock.1'))
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const plain = stripVTControlCharacters(text.replace(/.[\b]/g, ''))
    for (const command of makeProgram().commands) {
      expect(plain).toContain(command.name())
      for (const { long, hidden } of command.options) if (long && !hidden) expect(plain).toContain(long)
    }
    expect(plain).toContain('124  the lock was not free in time')
    expect(plain).toContain('$ storelock run backup -- ./backup.sh')
  })
})
