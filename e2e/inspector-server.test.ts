import { randomBytes } from 'node:crypto'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createLocks, type Json, type LocksOptions } from '../src/index.ts'
import { type LockServer, type ServeOptions, serve } from '../src/server/index.ts'
import { httpStore } from '../src/stores/http.ts'
import { memoryStore } from '../src/stores/memory.ts'
import { launchShell } from './browser.ts'

const random = (): string => randomBytes(16).toString('hex')
const tokens = { app: random(), dashboard: random(), operator: random() }
const clients = [
  { name: 'app', token: tokens.app, prefixes: ['app/', '@'] },
  { name: 'dashboard', token: tokens.dashboard, readOnly: true, admin: true },
  { name: 'operator', token: tokens.operator, admin: true },
]

/** A lock name that a page might run as HTML or a terminal might obey. */
const hostile = '<img src=x onerror=alert(1)>\u202egpj.exe'

describe('the page of a lock server, in Chromium', () => {
  let browser: Browser
  let context: BrowserContext
  let page: Page
  let server: LockServer
  /** The errors of the page. */
  let wrong: string[]
  const closing: (() => Promise<unknown>)[] = []

  beforeAll(async () => {
    browser = await launchShell()
  })
  afterAll(() => browser?.close())

  beforeEach(async () => {
    context = await browser.newContext()
    wrong = []
    await context.exposeFunction('violatesPolicy', (what: string) => void wrong.push(what))
    await context.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI }) =>
        violatesPolicy(`${effectiveDirective} ${blockedURI}`),
      )
    })
    page = await context.newPage()
    page.on('pageerror', (error) => wrong.push(String(error)))
  })
  afterEach(async () => {
    await context.close()
    for (const close of closing.splice(0).reverse()) await close()
    expect(wrong).toEqual([])
  })

  async function start(options: ServeOptions = { clients }): Promise<void> {
    server = await serve(memoryStore(), { secret: 'the secret of this test', ...options })
    closing.push(() => server.close())
    await page.goto(server.url)
  }

  function client(token: string | undefined, options: Omit<LocksOptions, 'store'> = {}) {
    const store = httpStore(server.url, token === undefined ? {} : { token })
    const locks = createLocks({ store, label: 'worker 1', ...options })
    closing.push(async () => {
      await locks.close()
      await store.close()
    })
    return locks
  }

  async function enter(token: string): Promise<void> {
    await page.getByLabel('Token of one of the server’s clients').fill(token)
    await page.keyboard.press('Enter')
  }
  const shows = (text: string): Promise<void> => page.getByText(text).first().waitFor()
  const buttons = (): Promise<string[]> => page.getByRole('button').allTextContents()

  test('opens at once if the server has no list of clients, and may do everything', async () => {
    await start({})
    await client(undefined).acquire('job')
    await shows('worker 1')
    expect(await buttons()).toEqual(['Pause', 'Sweep…', 'Ask…', 'Revoke…'])
  })

  test('asks for a token, refuses a wrong one, and keeps the right one out of the address and the storage', async () => {
    await start()
    await enter(random())
    await shows('The server refuses this token')
    expect(await page.getByText('held').count()).toBe(0)
    await enter(tokens.operator)
    await shows('operator (admin)')
    const kept = await page.evaluate(() => [
      location.href,
      document.cookie,
      JSON.stringify({ ...localStorage }),
      JSON.stringify({ ...sessionStorage }),
    ])
    expect(kept).toEqual([`${server.url}/`, '', '{}', '{}'])
    expect(await context.storageState()).toEqual({ cookies: [], origins: [] })
    await page.reload()
    await page.getByLabel('Token of one of the server’s clients').waitFor()
  })

  test('shows the locks of all namespaces to a client that may only read, without buttons to act', async () => {
    await start()
    await client(tokens.app).acquire('app/job', { metadata: { port: 7 } })
    await client(tokens.app, { namespace: 'team', label: 'worker 2' }).acquire('job')
    await enter(tokens.dashboard)
    for (const text of ['app/job', '@team/job', 'worker 1', 'worker 2', 'metadata {"port":7}', 'dashboard (may only look)']) await shows(text)
    expect(await buttons()).toEqual(['Sign out', 'Pause'])
  })

  test('shows a client only the locks that it may see', async () => {
    await start()
    await client(tokens.operator).acquire('other/job')
    await client(tokens.app).acquire('app/job')
    await enter(tokens.app)
    await shows('1 held, 0 waiting')
    expect(await page.getByText('other/job').count()).toBe(0)
    expect(await buttons()).toEqual(['Sign out', 'Pause', 'Ask…'])
  })

  test('asks a holder to release, with the keyboard alone', async () => {
    await start()
    const asks: Json[] = []
    const lock = await client(tokens.app, { namespace: 'team' }).acquire('job', {
      onReleaseRequested: (ask) => {
        asks.push(ask)
        lock.release()
      },
    })
    await enter(tokens.operator)
    const ask = page.getByRole('button', { name: 'Ask the holders of @team/job to release it' })
    await ask.focus()
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').waitFor()
    await page.keyboard.type('for a backup')
    await page.keyboard.press('Enter')
    await shows('“@team/job” was released.')
    expect(asks).toEqual(['for a backup'])
  })

  test('revokes a lock only after the user has confirmed', async () => {
    await start()
    const lock = await client(tokens.app).acquire('app/job')
    await enter(tokens.operator)
    const revoke = page.getByRole('button', { name: 'Revoke app/job, which worker 1 holds' })
    await revoke.click()
    await page.getByText('Take “app/job” from worker 1?').waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await lock.renew()
    expect(lock.isHeld()).toBe(true)
    await revoke.click()
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click()
    await shows('“app/job” was taken from worker 1.')
    await shows('No locks are held or waited for.')
    // The button that had the focus is gone, so the focus moves to its list.
    expect(await page.locator('storelock-inspector').evaluate(({ shadowRoot }) => shadowRoot?.activeElement?.getAttribute('aria-label'))).toBe(
      'Locks',
    )
    await expect(lock.renew()).rejects.toMatchObject({ code: 'lost', reason: 'revoked' })
  })

  test('sweeps the unused records of all namespaces', async () => {
    await start()
    for (const namespace of ['', 'team']) {
      const locks = client(tokens.operator, { namespace })
      await (await locks.acquire('once')).release()
    }
    await enter(tokens.operator)
    await page.getByRole('button', { name: 'Sweep…' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Sweep' }).click()
    await shows('2 records were dropped.')
  })

  test('keeps the focus where it is while the locks change', async () => {
    await start()
    const locks = client(tokens.operator)
    await locks.acquire('job')
    await enter(tokens.operator)
    const revoke = page.getByRole('button', { name: 'Revoke job' })
    await revoke.focus()
    await (await locks.acquire('a before it')).renew()
    await locks.acquire('z after it')
    await shows('3 held')
    expect(await revoke.evaluate((button) => (button.getRootNode() as ShadowRoot).activeElement === button)).toBe(true)
  })

  test('shows hostile names as text, with bidi characters escaped', async () => {
    await start({})
    await client(undefined).acquire(hostile, { metadata: hostile })
    await shows('<img src=x onerror=alert(1)>\\u202egpj.exe')
    expect(await page.locator('img').count()).toBe(0)
    expect(await page.locator('storelock-inspector').evaluate((panel) => panel.shadowRoot?.textContent?.includes('\u202e'))).toBe(false)
  })

  test('says that it cannot reach the server, and resumes when it can', async () => {
    await start({})
    await shows('0 held')
    await context.setOffline(true)
    await page.getByRole('status').filter({ hasText: 'fetch' }).waitFor()
    await context.setOffline(false)
    await client(undefined).acquire('job')
    await shows('worker 1')
    await page.getByRole('status').filter({ hasNotText: 'fetch' }).waitFor()
  })

  test('fits on a phone', async () => {
    await page.setViewportSize({ width: 390, height: 844 })
    await start({})
    await client(undefined, { label: 'w'.repeat(200) }).acquire('n'.repeat(300), { metadata: 'm'.repeat(400) })
    await shows('1 held')
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390)
  })

  test('cannot be framed by another page', async () => {
    await start({})
    const other = await context.newPage()
    await other.goto('about:blank')
    await other.setContent(`<iframe src="${server.url}"></iframe>`)
    await other.locator('iframe').waitFor()
    const frame = other.frames().find((each) => each !== other.mainFrame())
    await frame?.waitForLoadState()
    expect(await other.frameLocator('iframe').locator('storelock-inspector').count()).toBe(0)
  })
})

declare global {
  function violatesPolicy(what: string): void
}
