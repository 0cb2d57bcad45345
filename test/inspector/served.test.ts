import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createHandler, type HandlerOptions, type LockHandler } from '../../src/server/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'

const token = 'b6f0f2d2c87c9d1f5f0c4f3f2f6f2a11'
const clients = [{ name: 'dashboard', token, readOnly: true, prefixes: ['app/'] }]

let handler: LockHandler | undefined
afterEach(() => handler?.close())

async function get(path: string, options: HandlerOptions = {}, headers: Record<string, string> = {}): Promise<Response> {
  await handler?.close()
  handler = await createHandler(memoryStore(), { secret: 'the secret of this test', ...options })
  return handler.fetch(new Request(`http://127.0.0.1${path}`, { headers }))
}

describe('the page of a lock server', () => {
  beforeEach(() => {
    handler = undefined
  })

  test.each(['/', '/inspector.js'])('allows no inline code, no code from elsewhere, and no framing: %s', async (path) => {
    const response = await get(path, { clients })
    expect(response.status).toBe(200)
    const policy = response.headers.get('content-security-policy')
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
    expect(policy).toContain("frame-ancestors 'none'")
    expect(policy).not.toMatch(/unsafe|\*/)
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
  })

  test('is the same for every visitor, and contains no data about locks', async () => {
    const [one, other] = [await (await get('/', { clients })).text(), await (await get('/')).text()]
    expect(one).toBe(other)
    expect(one).not.toMatch(/<script>|<style|style=|\son\w+=/)
  })

  test('learns who its visitor is: signed out without a credential, if the server has clients', async () => {
    expect(await (await get('/inspector/me', { clients })).json()).toMatchObject({ signedIn: false, name: '', admin: false })
    expect(await (await get('/inspector/me')).json()).toEqual({ signedIn: true, name: '', admin: true, readOnly: false, ask: true })
  })

  test('learns who its visitor is: a client with its rights, if the server knows the credential', async () => {
    const of = (token: string) => ({ authorization: `Bearer ${token}` })
    const known = await get('/inspector/me', { clients }, of(token))
    expect(await known.json()).toEqual({ signedIn: true, name: 'dashboard', admin: false, readOnly: true, ask: true })
    const unknown = await get('/inspector/me', { clients }, of(token.replace('b', 'c')))
    expect(unknown.status).toBe(401)
  })

  test('cannot read the locks without a credential', async () => {
    expect((await get('/v1/locks', { clients })).status).toBe(401)
  })

  test('cannot be loaded by pages of other sites', async () => {
    expect((await get('/inspector.js', {}, { 'sec-fetch-site': 'cross-site' })).status).toBe(403)
    expect((await get('/inspector/me', {}, { origin: 'https://elsewhere.example' })).status).toBe(403)
  })

  test.each(['/', '/inspector.js', '/inspector/me'])('does not exist if it is turned off: %s', async (path) => {
    expect((await get(path, { inspector: false })).status).toBe(404)
    expect((await get(path, { inspector: false, clients })).status).toBe(401)
  })
})
