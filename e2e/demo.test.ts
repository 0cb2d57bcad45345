import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildDemo } from '../build.ts'
import { type Site, serveFolder } from '../src/cli/demo/site.ts'
import { launchShell } from './browser.ts'
import { Program } from './cli/program.ts'
import { withProgram } from './cli/setup.ts'

let folder: string
let site: Site
let browser: Browser

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  buildDemo(join(folder, 'page'))
  site = await serveFolder(join(folder, 'page'))
  browser = await launchShell()
}, 120_000)
afterAll(async () => {
  await browser?.close()
  site?.close()
  rmSync(folder, { recursive: true, force: true })
})

/** Opens the page in a profile of its own, and waits until its workers count. */
async function open(url = site.url): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 390, height: 844 } })
  const page = await context.newPage()
  await page.goto(`${url}?brisk`)
  await page.locator('#who option', { hasText: 'worker 3' }).waitFor({ state: 'attached' })
  return page
}

const close = (page: Page) => page.context().close()

const lost = async (page: Page, mode: string): Promise<number> => Number(await page.locator(`#lost-${mode}`).textContent())

/** Presses a button, and waits until one more caption about it appears. */
async function press(page: Page, name: string, caption: string): Promise<void> {
  const captions = page.locator('#caption, #captions li', { hasText: caption })
  const before = await captions.count()
  await page.getByRole('button', { name }).click()
  await captions.nth(before).waitFor({ state: 'attached' })
}

describe('the demo page, when a worker that holds the lock hangs past its lease', { timeout: 60_000 }, () => {
  let page: Page
  beforeAll(async () => {
    page = await open()
    await press(page, 'Hang', 'The fence refused the late write')
  }, 60_000)
  afterAll(() => close(page))

  test('loses writes without a lock', async () => {
    expect(await lost(page, 'none')).toBeGreaterThan(0)
  })

  test('loses other workers’ writes to a late one with only a lease', async () => {
    // The present holder may have read before the late write and write only after it.
    await page.locator('#tile-lease[data-lost=true]').waitFor()
    expect(await page.locator('#captions').textContent()).toContain('With a lease only, that went through')
  })

  test('loses no fenced write, and shows that the late one was refused', async () => {
    const tallies = await page.evaluate(() => demo.tallies())
    expect(tallies.fenced.made).toBeGreaterThan(0)
    expect(tallies.fenced.value).toBe(tallies.fenced.made)
    expect(await lost(page, 'fenced')).toBe(0)
    expect(await page.locator('#refused').textContent()).toBe('1 late write refused')
  })
})

describe('the demo page', { timeout: 60_000 }, () => {
  let page: Page
  beforeAll(async () => {
    page = await open()
  }, 60_000)
  afterAll(() => close(page))

  test('has all its controls above the fold on a phone', async () => {
    const ends = await page.locator('button, select, #open').evaluateAll((all) => all.map((each) => each.getBoundingClientRect().bottom))
    expect(ends).toHaveLength(11)
    expect(Math.max(...ends)).toBeLessThanOrEqual(844)
  })

  test('shows how the lock is stolen from a worker that keeps it, and that the worker is notified', async () => {
    await press(page, 'Hold', 'keeps it')
    await press(page, 'Steal', 'stole the lock')
    await page.locator('#captions li, #caption', { hasText: 'was told that its lock was stolen' }).waitFor({ state: 'attached' })
  })

  test('shows how a worker that is asked politely releases the lock', async () => {
    await press(page, 'Hold', 'keeps it')
    await press(page, 'Ask politely', 'was asked to release')
  })

  test('shows that a worker that crashed with the lock is replaced because it is proved dead', async () => {
    await press(page, 'Hold', 'keeps it')
    await press(page, 'Crash', 'was proved dead')
  })

  test('lets another tab take part, with a number of its own', async () => {
    const opened = page.context().waitForEvent('page')
    await page.getByRole('link', { name: 'Open another tab' }).click()
    const tab = await opened
    await page.locator('#who option', { hasText: 'tab 4' }).waitFor({ state: 'attached' })
    expect(await tab.locator('h1').textContent()).toContain('this is tab 4')
  })
})

describe('storelock demo', { timeout: 60_000 }, () => {
  const place = withProgram()

  test('says where the page should be if it is missing', async () => {
    const program = new Program([process.execPath, place.main, 'demo'])
    expect(await program.code()).toBe(125)
    expect(program.said).toContain('the demo’s page is not here')
  })

  test('serves the page until Ctrl-C, and the page requests nothing from other sites', async () => {
    buildDemo(join(dirname(place.main), 'demo'))
    const program = new Program([process.execPath, place.main, 'demo'])
    const url = await program.shows(/(http:\S+)/)
    const context = await browser.newContext()
    const asked: string[] = []
    const refused: string[] = []
    context.on('request', (request) => asked.push(request.url()))
    context.on('console', (message) => message.type() === 'error' && refused.push(message.text()))
    const page = await context.newPage()
    await page.goto(url)
    await page.locator('#shown-fenced', { hasText: /after [1-9]/ }).waitFor()
    expect(asked.filter((each) => !each.startsWith(url) && !/^(data|blob):/.test(each))).toEqual([])
    expect(refused).toEqual([])
    await context.close()
    program.child.kill('SIGINT')
    expect(await program.ending()).toBe('SIGINT')
  })

  test('serves a page of at most 150 kB', () => {
    const page = join(folder, 'page')
    const sizes = readdirSync(page).map((name) => statSync(join(page, name)).size)
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(150_000)
  })
})
