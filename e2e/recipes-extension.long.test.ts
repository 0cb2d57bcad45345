import { once } from 'node:events'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { type BrowserContext, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { launchOptions } from './browser.ts'
import { until } from './cli/program.ts'
import type {} from './recipes/extension/popup.ts'

declare const chrome: {
  readonly alarms: { create(name: string, alarm: { readonly when: number }): Promise<void>; readonly onAlarm: { hasListeners(): boolean } }
}
declare const registration: { readonly active: { readonly state: string } | null }

const source = fileURLToPath(new URL('recipes/extension', import.meta.url))
let folder: string
let context: BrowserContext
let popup: Page
let server: Server
let url: string
/** The responses that jobs wait for. */
let waiting: ServerResponse[]

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'storelock-extension-'))
  const extension = join(folder, 'extension')
  await build({ entryPoints: [join(source, 'worker.ts'), join(source, 'popup.ts')], outdir: extension, bundle: true, target: 'es2022' })
  for (const file of ['manifest.json', 'popup.html']) copyFileSync(join(source, file), join(extension, file))

  server = createServer((_, response) => {
    response.setHeader('access-control-allow-origin', '*')
    waiting.push(response)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  const args = [`--disable-extensions-except=${extension}`, `--load-extension=${extension}`]
  const options = await launchOptions({ args, ignoreDefaultArgs: ['--disable-extensions'] })
  context = await chromium.launchPersistentContext(join(folder, 'profile'), options)
  const worker = context.serviceWorkers()[0] ?? (await context.waitForEvent('serviceworker'))
  // The browser drops an alarm if the extension has no listener for it yet.
  await until(() => worker.evaluate(() => registration.active?.state === 'activated' && chrome.alarms.onAlarm.hasListeners()))
  popup = await context.newPage()
  await popup.goto(new URL('popup.html', worker.url()).href)
})
afterAll(async () => {
  await context?.close()
  server?.closeAllConnections()
  server?.close()
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
})
beforeEach(() => {
  waiting = []
})

const sync = (): Promise<boolean> => popup.evaluate((url) => globalThis.popup.sync(url), url)

/** Starts the service worker's job by an alarm. The job then waits for an answer. */
async function startInWorker(): Promise<void> {
  await popup.evaluate((url) => chrome.alarms.create(url, { when: Date.now() }), url)
  await until(() => waiting.length === 1)
}

/** Stops the service worker, as the browser may do at any time. */
async function stopWorker(): Promise<void> {
  const session = await context.newCDPSession(popup)
  const running = new Promise<string>((resolve) => {
    session.on('ServiceWorker.workerVersionUpdated', ({ versions }) => {
      for (const { versionId, runningStatus } of versions) if (runningStatus === 'running') resolve(versionId)
    })
  })
  await session.send('ServiceWorker.enable')
  await session.send('ServiceWorker.stopWorker', { versionId: await running })
  await session.detach()
}

describe('the recipe for an extension', () => {
  test('the popup does not start the job while the service worker runs it, and can start it afterwards', async () => {
    await startInWorker()
    expect(await sync()).toBe(false)
    waiting.pop()?.end()
    const again = (async () => {
      while (!(await sync()));
    })()
    await until(() => waiting.length === 1)
    waiting.pop()?.end()
    await again
  })

  test('a service worker that is stopped in the middle leaves the lock free', async () => {
    await startInWorker()
    await stopWorker()
    const here = (async () => {
      while (!(await sync()));
    })()
    await until(() => waiting.length === 2)
    waiting.pop()?.end()
    await here
  })
})
