import { existsSync, mkdirSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { killAll, Program } from '../../e2e/cli/program.ts'
import { withProgram } from '../../e2e/cli/setup.ts'
import { stateFolder, userStore } from '../../src/cli/user-store.ts'

const place = withProgram()
let folder: string

beforeEach(() => {
  folder = realpathSync(place.folder)
})
afterEach(() => {
  killAll()
})

async function storelock(cwd: string, env: NodeJS.ProcessEnv, ...args: readonly string[]) {
  const program = new Program([process.execPath, place.main, ...args], { cwd, env: { ...process.env, ...env } })
  return { code: await program.code(), printed: program.printed, said: program.said }
}

describe('a store that `run` makes', { timeout: 60_000 }, () => {
  it('is named on stderr, once', async () => {
    const first = await storelock(folder, {}, 'run', 'job', '--', 'true')
    expect(first).toMatchObject({ code: 0, said: `storelock: made a new store, ${join(folder, 'storelock.db')}\n` })
    expect(await storelock(folder, {}, 'run', 'job', '--', 'true')).toMatchObject({ code: 0, said: '' })
  })

  it('is named in each directory, since the default store of each is another file', async () => {
    for (const name of ['a', 'b']) {
      mkdirSync(join(folder, name))
      expect((await storelock(join(folder, name), {}, 'run', 'job', '--', 'true')).said).toContain(join(folder, name, 'storelock.db'))
    }
  })

  it('is named by only one of two programs that start at the same moment', async () => {
    const both = await Promise.all([1, 2].map(() => storelock(folder, {}, 'run', 'job', '--', 'true')))
    expect(both.map(({ said }) => said).sort()).toEqual(['', `storelock: made a new store, ${join(folder, 'storelock.db')}\n`])
  })
})

describe('the store `user:`', { timeout: 60_000 }, () => {
  it('is one file in the user’s state directory, whatever the working directory', async () => {
    const env = { XDG_STATE_HOME: join(folder, 'state') }
    mkdirSync(join(folder, 'elsewhere'))
    const made = await storelock(folder, env, 'run', 'job', '--store', 'user:', '--', 'sh', '-c', 'echo $STORELOCK_KEY')
    const path = join(folder, 'state', 'storelock', 'storelock.db')
    expect(made).toMatchObject({ code: 0, printed: 'job\n', said: `storelock: made a new store, ${path}\n` })
    expect(statSync(join(folder, 'state', 'storelock')).mode & 0o777).toBe(0o700)
    const elsewhere = await storelock(join(folder, 'elsewhere'), { ...env, STORELOCK_STORE: 'user:' }, 'ls', '--all', '--json')
    expect(JSON.parse(elsewhere.printed)).toMatchObject([{ key: 'job' }])
    expect(existsSync(join(folder, 'elsewhere', 'storelock.db'))).toBe(false)
  })

  it('may have a name: `user:NAME` is another store', async () => {
    const env = { XDG_STATE_HOME: join(folder, 'state') }
    await storelock(folder, env, 'run', 'job', '--store', 'user:backups', '--', 'true')
    expect(existsSync(join(folder, 'state', 'storelock', 'backups.db'))).toBe(true)
    expect(await storelock(folder, env, 'ls', '--store', 'user:../x')).toMatchObject({ code: 125, said: expect.stringContaining('user:NAME') })
  })

  it('is reported as missing, with its path, until a command makes it', async () => {
    const env = { XDG_STATE_HOME: join(folder, 'state') }
    expect((await storelock(folder, env, 'ls', '--store', 'user:')).said).toContain(join(folder, 'state', 'storelock', 'storelock.db'))
    expect(existsSync(join(folder, 'state'))).toBe(false)
  })

  it.each([
    ['linux', {}, '/users/me/.local/state'],
    ['linux', { XDG_STATE_HOME: '/var/me' }, '/var/me'],
    // The XDG specification says to ignore a relative path.
    ['linux', { XDG_STATE_HOME: 'me' }, '/users/me/.local/state'],
    ['darwin', {}, '/users/me/Library/Application Support'],
    ['darwin', { XDG_STATE_HOME: '/var/me' }, '/var/me'],
    ['win32', { LOCALAPPDATA: 'C:\\Users\\me\\AppData\\Local' }, 'C:\\Users\\me\\AppData\\Local'],
  ] as const)('is on %s with %j in %s', (platform, env, state) => {
    expect(stateFolder(platform, env, '/users/me')).toBe(state)
  })

  it('is not confused with a file of a similar name', () => {
    expect(userStore('./user:')).toBeUndefined()
    expect(userStore('user.db')).toBeUndefined()
  })
})
