import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ClientCredential, type ServeOptions, serve } from '../../src/server/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { atEnd } from './world.ts'

let folder: string
const read = (name: string): string => readFileSync(join(folder, name), 'utf8')

/** Makes a key and a certificate, self-signed or signed by an authority. */
function make(name: string, subject: string, authority?: string): void {
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`]
  const names = name.startsWith('server') ? ['-addext', 'subjectAltName=IP:127.0.0.1'] : []
  if (!authority) openssl('req', '-x509', ...key, ...names, '-out', `${name}.pem`, '-subj', subject)
  else {
    openssl('req', ...key, '-out', `${name}.csr`, '-subj', subject)
    openssl('x509', '-req', '-in', `${name}.csr`, '-CA', `${authority}.pem`, '-CAkey', `${authority}.key`, '-CAcreateserial', '-out', `${name}.pem`)
  }
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  for (const name of ['server', 'server2']) make(name, '/CN=localhost')
  for (const name of ['ca', 'stranger']) make(name, `/CN=${name}`)
  make('worker', '/O=Example/CN=worker-7', 'ca')
  make('pinned', '/CN=pinned', 'ca')
  make('forged', '/O=Example/CN=worker-7', 'stranger')
})

afterAll(() => rmSync(folder, { recursive: true }))

const token = '0123456789abcdef0123456789abcdef'

async function world(clients: ClientCredential[], options: ServeOptions = {}) {
  const tls = { key: read('server.key'), cert: read('server.pem'), clientCa: read('ca.pem') }
  const server = atEnd(await serve(memoryStore(), { clients, tls, ...options }))
  /** Sends a request. @returns its status, and the fingerprint of the server's certificate */
  const ask = (path: string, certificate?: string, headers: Record<string, string> = {}, body?: object) =>
    new Promise<{ status: number | undefined; served: string }>((resolve, reject) => {
      const own = certificate ? { key: read(`${certificate}.key`), cert: read(`${certificate}.pem`) } : {}
      const method = body ? 'POST' : 'GET'
      const sent = request(`${server.url}${path}`, { ...own, method, headers, agent: false, rejectUnauthorized: false }, (response) => {
        const served = (response.socket as TLSSocket).getPeerCertificate().fingerprint256
        response.resume().on('end', () => resolve({ status: response.statusCode, served }))
      })
      sent.on('error', reject).end(body && JSON.stringify(body))
    })
  return { server, ask, statusOf: async (...args: Parameters<typeof ask>) => (await ask(...args)).status }
}

const fingerprintOf = (name: string): string => new X509Certificate(read(`${name}.pem`)).fingerprint256

test('a client is identified by its certificate, either by fields of the subject or by the fingerprint', async () => {
  const { statusOf } = await world([
    { name: 'worker', certificate: { subject: { CN: 'worker-7', O: 'Example' } } },
    { name: 'pinned', certificate: { fingerprint: fingerprintOf('pinned') }, prefixes: ['own/'] },
  ])
  expect(await statusOf('/v1/locks/k', 'worker')).toBe(200)
  expect(await statusOf('/v1/locks/k', 'pinned')).toBe(403)
  expect(await statusOf('/v1/locks?prefix=own/', 'pinned')).toBe(200)
})

test('a batch can also be authenticated by a certificate', async () => {
  const { statusOf } = await world([{ name: 'worker', certificate: { subject: { CN: 'worker-7' } } }])
  expect(await statusOf('/v1/apply', 'worker', { 'content-type': 'application/json' }, { commands: [] })).toBe(200)
  expect(await statusOf('/v1/apply', undefined, { 'content-type': 'application/json' }, { commands: [] })).toBe(401)
})

test('a client without a certificate, or with the right subject from another authority, is refused', async () => {
  const { statusOf } = await world([{ name: 'worker', certificate: { subject: { CN: 'worker-7' } } }])
  for (const certificate of ['forged', 'pinned', undefined]) expect(await statusOf('/v1/locks/k', certificate)).toBe(401)
  expect(await statusOf('/livez')).toBe(200)
})

test('a bearer token works beside certificates, and a wrong token is refused even with a valid certificate', async () => {
  const { statusOf } = await world([
    { name: 'worker', certificate: { subject: { CN: 'worker-7' } } },
    { name: 'app', token },
  ])
  expect(await statusOf('/v1/locks/k', undefined, { authorization: `Bearer ${token}` })).toBe(200)
  expect(await statusOf('/v1/locks/k', 'worker', { authorization: 'Bearer another' })).toBe(401)
})

test('a list of clients is refused if a certificate would match anyone’s, or if no authority can verify it', async () => {
  const tls = { key: read('server.key'), cert: read('server.pem') }
  const clientCa = read('ca.pem')
  const bad: [ServeOptions, string][] = [
    [{ clients: [{ name: 'x', certificate: {} }], tls: { ...tls, clientCa } }, 'would match anybody’s'],
    [{ clients: [{ name: 'x', certificate: { fingerprint: 'ab:cd' } }], tls: { ...tls, clientCa } }, 'not a SHA-256 one'],
    [{ clients: [{ name: 'x' }], tls: { ...tls, clientCa } }, 'neither a token nor a certificate'],
    [{ clients: [{ name: 'x', certificate: { subject: { CN: 'x' } } }], tls }, 'tls.clientCa'],
    [{ tls: { ...tls, cert: read('server2.pem') } }, 'cannot be used'],
  ]
  for (const [options, message] of bad)
    await expect(serve(memoryStore(), options)).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining(message) })
})

test('the server’s certificate can be replaced while it runs; an invalid one changes nothing', async () => {
  const { server, ask } = await world([{ name: 'app', token }])
  expect((await ask('/livez')).served).toBe(fingerprintOf('server'))
  const tls = { key: read('server2.key'), cert: read('server2.pem'), clientCa: read('ca.pem') }
  expect(() => server.reload({ tls: { ...tls, key: read('server.key') } })).toThrow(expect.objectContaining({ code: 'invalid' }))
  expect((await ask('/livez')).served).toBe(fingerprintOf('server'))
  server.reload({ tls })
  expect((await ask('/livez')).served).toBe(fingerprintOf('server2'))
})

test('a new authority for clients takes effect on reload', async () => {
  const { server, statusOf } = await world([{ name: 'worker', certificate: { subject: { CN: 'worker-7' } } }])
  expect(await statusOf('/v1/locks/k', 'forged')).toBe(401)
  writeFileSync(join(folder, 'both.pem'), read('ca.pem') + read('stranger.pem'))
  server.reload({ tls: { key: read('server.key'), cert: read('server.pem'), clientCa: read('both.pem') } })
  expect(await statusOf('/v1/locks/k', 'forged')).toBe(200)
})
