import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import Database from 'better-sqlite3'
import { validate } from 'dockerfile-utils'
import { createLocks } from 'storelock'
import { serve } from 'storelock/server'
import { httpStore } from 'storelock/stores/http'
import { sqliteStore } from 'storelock/stores/sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readConfig } from '../../src/cli/serve/config.ts'
import { envOf, flagOf, settings } from '../../src/cli/serve/settings.ts'
import { installPackage, root } from './installed.ts'

const read = (path: string): string => readFileSync(join(root, 'docs', path), 'utf8')
const page = read('operations.md')
const has = (program: string, ...args: readonly string[]): boolean => spawnSync(program, args).status === 0

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'storelock-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

/** Copies one of the page's files for a check, and replaces the paths that exist only on a real server. @returns the copy's path */
function copy(name: string, ...changes: readonly [string, string][]): string {
  const path = join(folder, name)
  let text = read(`operations/${name}`)
  for (const [from, to] of changes) {
    expect(text).toContain(from)
    text = text.replaceAll(from, to)
  }
  writeFileSync(path, text)
  return path
}

/** Makes a key and a self-signed certificate. @returns their paths */
function certificate(): [string, string] {
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const how = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=locks.example']
  execFileSync('openssl', ['req', ...how, '-keyout', key, '-out', cert], { stdio: 'ignore' })
  return [key, cert]
}

describe('docs/operations.md', () => {
  it('has every setting with its flag, variable and default', () => {
    const rows = settings.map((setting) => {
      const { name, help, choices, default: standard } = setting
      const what = choices ? `${help}: ${choices.join(', ')}` : help
      return `| \`${name}\` | \`${flagOf(setting)}\` | \`${envOf(setting)}\` | ${standard ?? ''} | ${what} |`
    })
    expect(page).toContain(['| in the file | flag | variable | default | what |', '|---|---|---|---|---|', ...rows].join('\n'))
  })

  it('shows the unit’s configuration, which is valid', () => {
    expect(page).toContain(`\`\`\`json\n${read('operations/config.json')}\`\`\``)
    const config = readConfig({ config: join(root, 'docs/operations/config.json') }, {})
    expect(config.get('limits.held')?.value).toBe(1_000)
  })

  it('names only figures that exist', async () => {
    const store = sqliteStore(join(folder, 'locks.db'))
    const server = await serve(store)
    const figures = await (await fetch(`${server.url}/metrics`)).text()
    await server.close()
    await store.close()
    const table = page.slice(page.indexOf('## What to watch'), page.indexOf('## What it logs on stderr'))
    const named = [...table.matchAll(/`((?:storelock|nodejs|process)_[a-z\d_]+)`/g)].map(([, name = '']) => name)
    expect(named.length).toBeGreaterThan(10)
    expect(named.filter((name) => !figures.includes(`# TYPE ${name} `))).toEqual([])
  })

  it('describes how to make a backup, with its locks, while the server runs', async () => {
    const [statement] = /VACUUM INTO '.*?'/.exec(page) ?? []
    expect(statement).toBe(`VACUUM INTO 'backup.db'`)
    const store = sqliteStore(join(folder, 'locks.db'))
    const server = await serve(store)
    const client = httpStore(server.url)
    const locks = createLocks({ store: client })
    const held = await locks.acquire('k')
    const db = new Database(join(folder, 'locks.db'))
    db.exec(`VACUUM INTO '${join(folder, 'backup.db')}'`)
    db.close()
    const backup = sqliteStore(join(folder, 'backup.db'))
    expect((await backup.read('k'))?.holders).toMatchObject([{ token: held.token }])
    const again = await serve(backup)
    expect((await (await fetch(`${again.url}/v1/log?key=k`)).json()).entries).toMatchObject([{ kind: 'grant', token: held.token }])
    await again.close()
    await backup.close()
    await locks.close()
    await client.close()
    await server.close()
    await store.close()
  })
})

describe('the files in docs/operations/', () => {
  it.runIf(has('systemd-analyze', '--version'))('storelock.service is a unit in which systemd-analyze finds no fault', async () => {
    const unit = copy('storelock.service', ['/usr/bin/storelock', process.execPath])
    const { stdout, stderr } = await promisify(execFile)('systemd-analyze', ['verify', unit])
    expect(stdout + stderr).toBe('')
  })

  it('Containerfile has no linter warnings, and does not run as root', () => {
    const text = read('operations/Containerfile')
    expect(validate(text)).toEqual([])
    expect(text).toMatch(/^USER node$/m)
    // The array form starts the server without a shell, so that signals reach it.
    expect(text).toMatch(/^ENTRYPOINT \["node", "\/app\/node_modules\/storelock\/dist\/cli\/main\.cjs", "serve"\]$/m)
    const { bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    expect(bin['storelock-node']).toBe('dist/cli/start.cjs')
    for (const [, name] of text.matchAll(/(STORELOCK_\w+)=/g)) expect(settings.map(envOf)).toContain(name)
  })

  it('the server in Containerfile starts in an empty folder, becomes healthy, and ends on SIGTERM', async () => {
    const text = read('operations/Containerfile')
    const project = await installPackage()
    try {
      const probe = createServer().listen(0, '127.0.0.1')
      await once(probe, 'listening')
      const { port } = probe.address() as AddressInfo
      probe.close()
      // Files mounted into containers are readable by everyone, so this one has no secret in it.
      const clients = join(folder, 'clients.json')
      writeFileSync(clients, JSON.stringify([{ name: 'a', token: `sha256:${'0123456789abcdef'.repeat(4)}` }]), { mode: 0o444 })
      const here = (line: string): string =>
        line
          .replaceAll('/app/node_modules', project.path('node_modules'))
          .replaceAll('/data', folder)
          .replaceAll('/run/secrets/clients.json', clients)
          .replaceAll('7420', `${port}`)
      const [, settings = ''] = /^ENV (.*)$/m.exec(text) ?? []
      const env = {
        PATH: process.env.PATH,
        ...Object.fromEntries(
          here(settings)
            .split(' ')
            .map((pair) => pair.split('=')),
        ),
      }
      const [, entry = '[]'] = /^ENTRYPOINT (.*)$/m.exec(text) ?? []
      const [, check = '[]'] = /^HEALTHCHECK .* CMD (.*)$/m.exec(text) ?? []
      const [program, ...args] = JSON.parse(here(entry)) as string[]
      const [asker, ...asked] = JSON.parse(here(check)) as string[]
      const server = spawn(program as string, args, { env, cwd: folder, stdio: 'ignore' })
      const over = once(server, 'exit')
      const isHealthy = async (): Promise<boolean> => (await once(spawn(asker as string, asked, { env, stdio: 'ignore' }), 'exit'))[0] === 0
      for (const end = performance.now() + 60_000; !(await isHealthy()); ) expect(performance.now()).toBeLessThan(end)
      server.kill('SIGTERM')
      expect(await over).toEqual([0, null])
    } finally {
      project.remove()
    }
  }, 180_000)

  it.runIf(has('nginx', '-v') && has('openssl', 'version'))('nginx.conf is accepted by nginx', () => {
    const [key, cert] = certificate()
    const conf = copy(
      'nginx.conf',
      ['/etc/ssl/private/locks.example.key', key],
      ['/etc/ssl/certs/locks.example.pem', cert],
      ['listen 443', 'listen 8443'],
    )
    const whole = join(folder, 'whole.conf')
    writeFileSync(whole, `pid ${folder}/pid;\nerror_log stderr;\nevents {}\nhttp { access_log off; include ${conf}; }\n`)
    const { status, stderr } = spawnSync('nginx', ['-t', '-p', folder, '-c', whole], { encoding: 'utf8' })
    expect([status, stderr]).toEqual([0, expect.stringContaining('test is successful')])
  })

  it.runIf(has('caddy', 'version'))('Caddyfile is accepted by caddy', () => {
    const env = { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }
    const args = ['validate', '--adapter', 'caddyfile', '--config', copy('Caddyfile')]
    const { status, stdout, stderr } = spawnSync('caddy', args, { encoding: 'utf8', env })
    expect([status, stdout + stderr]).toEqual([0, expect.stringContaining('Valid configuration')])
  })
})
