import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { describe, expect, test } from 'vitest'
import { Program, until } from './cli/program.ts'
import { withProgram } from './cli/setup.ts'

// The files that `storelock serve` reads: its settings, and on SIGHUP its certificates and the keys of lockTokens.
const place = withProgram()

const start = (command: readonly string[], env: NodeJS.ProcessEnv = {}): Program =>
  new Program(command, { cwd: place.folder, env: { ...process.env, ...env } })
const serve = (args: readonly string[], env?: NodeJS.ProcessEnv): Program => start([process.execPath, place.main, 'serve', ...args], env)
const write = (name: string, content: string): void => writeFileSync(join(place.folder, name), content, { mode: 0o600 })

async function makeCertificate(name: string): Promise<void> {
  const how = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=localhost']
  expect(await start(['openssl', 'req', ...how, '-keyout', `${name}.key`, '-out', `${name}.pem`]).code()).toBe(0)
}

/** The fingerprint of the certificate that a new connection gets. */
const served = (url: string): Promise<string> =>
  new Promise((resolve, reject) => {
    request(`${url}/livez`, { agent: false, rejectUnauthorized: false }, (response) => {
      resolve((response.socket as TLSSocket).getPeerCertificate().fingerprint256)
      response.resume()
    })
      .on('error', reject)
      .end()
  })

/** The values of the JSON lines on stderr. */
const told = ({ said }: Program) =>
  said
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))

describe('storelock serve', { timeout: 60_000 }, () => {
  test('is configured by a file, and logs in lines of JSON', async () => {
    write('config.json', JSON.stringify({ store: 'app.db', listen: '0', log: { level: 'debug' }, limits: { batch: 2 } }))
    const server = serve(['--config', 'config.json'])
    const url = await server.shows(/at (http:\S+)/)
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"commands":[{},{},{}]}' }
    expect((await fetch(`${url}/v1/apply`, init)).status).toBe(400)
    expect((await fetch(`${url}/v1/locks`)).status).toBe(200)
    server.child.kill('SIGTERM')
    expect(await server.code()).toBe(0)
    expect(told(server)).toMatchObject([
      { level: 'info', event: 'start', url },
      { level: 'warn', event: 'request', path: '/v1/apply', status: 400 },
      { level: 'debug', event: 'request', path: '/v1/locks', status: 200 },
      { level: 'info', event: 'stop' },
    ])
  })

  test('does not start with an invalid value, and names its source', async () => {
    write('config.json', JSON.stringify({ limits: { batch: 'many' } }))
    const byFile = serve(['--config', 'config.json'])
    const byVariable = serve([], { STORELOCK_LISTEN: 'nowhere' })
    expect([await byFile.code(), await byVariable.code()]).toEqual([125, 125])
    expect(byFile.said).toContain('limits.batch in config.json: it must be a whole number')
    expect(byVariable.said).toContain('STORELOCK_LISTEN: it must be a port')
  })

  test('uses a new certificate after SIGHUP, and keeps the old one if the new one is invalid', async () => {
    await makeCertificate('tls')
    await makeCertificate('next')
    const server = serve(['--listen', '0', '--tls-key', 'tls.key', '--tls-cert', 'tls.pem'])
    const url = await server.shows(/at (https:\S+)/)
    const first = await served(url)
    renameSync(join(place.folder, 'next.key'), join(place.folder, 'tls.key'))
    server.child.kill('SIGHUP')
    await server.shows(/(nothing was changed)/)
    expect(await served(url)).toBe(first)
    renameSync(join(place.folder, 'next.pem'), join(place.folder, 'tls.pem'))
    server.child.kill('SIGHUP')
    await server.shows(/read (tls\.key, tls\.pem) again/)
    expect(await served(url)).not.toBe(first)
  })

  test('signs with the first of several secrets, and verifies signatures made with the others', async () => {
    write('ring', 'the-old-secret-of-this-test\n')
    const server = serve(['--listen', '0', '--secret-file', 'ring'])
    const url = await server.shows(/at (http:\S+)/)
    const post = async (path: string, body: object) => {
      const headers = { 'content-type': 'application/json', 'storelock-client': 'a-client-key-of-the-test' }
      return await (await fetch(`${url}/v1/${path}`, { method: 'POST', headers, body: JSON.stringify({ key: 'k', ...body }) })).json()
    }
    const { lockToken } = await post('acquire', {})
    const isValid = async (): Promise<boolean> => (await post('verify', { lockToken })).valid
    write('ring', `the-new-secret-of-this-test\n${readFileSync(join(place.folder, 'ring'), 'utf8')}`)
    server.child.kill('SIGHUP')
    await server.shows(/read (ring) again/)
    expect(await isValid()).toBe(true)
    expect(await post('renew', { lockToken })).toMatchObject({ renewed: true })
    write('ring', 'the-new-secret-of-this-test\n')
    server.child.kill('SIGHUP')
    await until(async () => !(await isValid()))
  })
})
