import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Exit } from '../../src/cli/exit.ts'
import { makeProgram } from '../../src/cli/program.ts'
import { readConfig } from '../../src/cli/serve/config.ts'
import { readFiles } from '../../src/cli/serve/files.ts'
import { envOf, flagOf, settings, type Typed, typedOf } from '../../src/cli/serve/settings.ts'
import { limitDefaults } from '../../src/server/options.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'storelock-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const file = (content: unknown): string => {
  const path = join(folder, 'config.json')
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

/** The message with which a configuration is refused, or 'nothing'. */
function refusal(typed: Typed, env: NodeJS.ProcessEnv = {}): string {
  try {
    readConfig(typed, env)
  } catch (error) {
    if (error instanceof Exit) return error.message
    throw error
  }
  return 'nothing'
}

test('every limit of the API is a setting, and every setting has a flag, a variable and a name in the file', () => {
  const names = settings.map(({ name }) => name)
  for (const limit of Object.keys(limitDefaults)) expect(names).toContain(`limits.${limit}`)
  const serve = makeProgram().commands.find((command) => command.name() === 'serve')
  const flags = serve?.options.map(({ long }) => long)
  for (const setting of settings) expect(flags).toContain(flagOf(setting))
  expect(new Set(settings.map(envOf)).size).toBe(settings.length)
  expect([envOf({ name: 'limits.perAddress' } as never), flagOf({ name: 'tls.clientCa' } as never)]).toEqual([
    'STORELOCK_LIMITS_PER_ADDRESS',
    '--tls-client-ca',
  ])
})

test('a flag overrides the environment, the environment the file, and the file the default', () => {
  const path = file({ limits: { held: 3, rate: 3, keys: 3 } })
  const config = readConfig({ config: path, 'limits.held': '1' }, { STORELOCK_LIMITS_HELD: '2', STORELOCK_LIMITS_RATE: '2' })
  const found = ['held', 'rate', 'keys', 'topics'].map((name) => config.get(`limits.${name}`))
  expect(found).toEqual([
    { value: 1, from: '--limits-held' },
    { value: 2, from: 'STORELOCK_LIMITS_RATE' },
    { value: 3, from: `limits.keys in ${path}` },
    { value: limitDefaults.topics, from: 'default' },
  ])
})

test('only flags that were typed count, not commander’s defaults', () => {
  const serve = makeProgram().commands.find((command) => command.name() === 'serve')
  if (!serve) throw new Error('there is no serve')
  serve.action(() => {})
  serve.parse(['--host', 'a', 'b', '--limits-held', '5', '--tls-client-ca', 'ca.pem'], { from: 'user' })
  expect(typedOf(serve)).toEqual({ hosts: ['a', 'b'], 'limits.held': '5', 'tls.clientCa': 'ca.pem' })
})

test('a bad value is refused with its source, whichever it is', () => {
  const path = file({ limits: { held: 0 } })
  expect(refusal({ config: path })).toMatch(`limits.held in ${path}: `)
  expect(refusal({ 'limits.held': 'many' })).toBe('--limits-held: it must be a whole number, not "many"')
  expect(refusal({}, { STORELOCK_GRACE: 'soon' })).toMatch(/^STORELOCK_GRACE: A time is a number with ms/)
  expect(refusal({}, { STORELOCK_EXPIRY: 'never' })).toBe('STORELOCK_EXPIRY: it must be one of auto, manual, not "never"')
  expect(refusal({ config: file({ grace: 10 }) })).toMatch(/^grace in .*: a time is a string such as "10s"/)
  expect(refusal({ config: file({ grace: '10' }) })).toMatch(/^grace in .*: a time needs a unit/)
  expect(refusal({ config: file({ hosts: 'a' }) })).toMatch(/^hosts in .*it must be a list of strings/)
  expect(refusal({ policies: '{ "jobs": { "maxDuration": 5 } }' })).toMatch(/^--policies: .* at jobs\.maxDuration/)
})

test('an unknown setting is refused with its name, in the file and among the variables of a group', () => {
  expect(refusal({ config: file({ limits: { hold: 1 } }) })).toContain('there is no setting "limits.hold"')
  expect(refusal({ config: file({ port: 1 }) })).toContain('there is no setting "port"')
  expect(refusal({}, { STORELOCK_LIMITS_HOLD: '1' })).toMatch(/^STORELOCK_LIMITS_HOLD: there is no such setting/)
  expect(refusal({ config: file('{') })).toContain('it is not a JSON object')
  expect(refusal({ config: join(folder, 'none.json') })).toContain('cannot read')
})

test('paths in the file are relative to the file’s folder', () => {
  const config = readConfig({ config: file({ store: 'locks.db', clients: '/etc/clients.json' }) }, {})
  expect([config.get('store')?.value, config.get('clients')?.value]).toEqual([join(folder, 'locks.db'), '/etc/clients.json'])
})

test('a time without a unit is in seconds on the command line, and a time in the file needs a unit', () => {
  const value = (typed: Typed): unknown => readConfig(typed, {}).get('grace')?.value
  expect([value({ grace: '2' }), value({ grace: '2m' }), value({ config: file({ grace: '250ms' }) })]).toEqual([2_000, 120_000, 250])
})

/** What `serve` prints with these arguments. */
async function printed(...args: string[]): Promise<string> {
  const written: string[] = []
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation((text) => written.push(String(text)) > 0)
  try {
    await makeProgram().parseAsync(['serve', '--print-config', ...args], { from: 'user' })
  } finally {
    spy.mockRestore()
  }
  return written.join('')
}

test('--print-config shows all settings with their sources, and hides secrets', async () => {
  vi.stubEnv('STORELOCK_SECRET', 'a secret of this test')
  vi.stubEnv('STORELOCK_LOG_AGE', '90m')
  const text = await printed('--limits-held', '7')
  vi.unstubAllEnvs()
  for (const { name, default: standard } of settings) if (standard !== undefined) expect(text).toContain(name)
  expect(text).toMatch(/limits\.held +7 +--limits-held/)
  expect(text).toMatch(/log\.age +90m +STORELOCK_LOG_AGE/)
  expect(text).toMatch(/secret +\(hidden\) +STORELOCK_SECRET/)
  expect(text).not.toContain('a secret of this test')
})

test('the output of --print-config --json can be used as a configuration file', async () => {
  const first = await printed('--json', '--limits-held', '7', '--grace', '1500ms', '--policies', '{"jobs":{"maxDuration":"1h"}}', '--host', 'a', 'b')
  const again = await printed('--json', '--config', file(first))
  expect(JSON.parse(again)).toEqual({ ...JSON.parse(first), store: join(folder, 'storelock.db') })
})

test('files with secrets are refused if other users may read them, and a ring of secrets has one secret a line', () => {
  const path = join(folder, 'ring')
  writeFileSync(path, 'the new secret of this test\nthe old secret of this test\n', { mode: 0o600 })
  const config = readConfig({ secretFile: path }, {})
  expect(readFiles(config)).toEqual({ secret: ['the new secret of this test', 'the old secret of this test'] })
  if (process.platform === 'win32') return
  chmodSync(path, 0o644)
  expect(() => readFiles(config)).toThrow('chmod 600')
})

test('a list of clients may be readable by other users if it has only hashes of tokens', () => {
  const path = join(folder, 'clients.json')
  const hashed = [{ name: 'a', token: `sha256:${'0123456789abcdef'.repeat(4)}` }]
  writeFileSync(path, JSON.stringify(hashed))
  chmodSync(path, 0o444)
  const config = readConfig({ clients: path }, {})
  expect(readFiles(config)).toEqual({ clients: hashed })
  if (process.platform === 'win32') return
  chmodSync(path, 0o644)
  writeFileSync(path, JSON.stringify([...hashed, { name: 'b', token: '0123456789abcdef0123456789abcdef' }]))
  expect(() => readFiles(config)).toThrow('chmod 600')
})
