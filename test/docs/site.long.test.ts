import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Served, serveSite } from '../../docs/.vitepress/serve.ts'
import { sidebar } from '../../docs/.vitepress/sidebar.ts'
import { buildSite } from '../../docs/.vitepress/site.ts'
import { launchChromium } from '../../e2e/browser.ts'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** The width of a phone and of a desktop, each in both colour schemes. */
const views = [390, 1280].flatMap((width) => (['light', 'dark'] as const).map((colorScheme) => ({ width, colorScheme })))

// TypeDoc and VitePress take minutes, so `npm test` leaves these out: npx vitest run --project long test/docs/site
describe('the site of the docs', () => {
  let served: Served
  let browser: Browser
  beforeAll(async () => {
    // The build throws if a link is dead or a docstring has a fault.
    await buildSite()
    served = await serveSite(0)
    browser = await launchChromium()
  }, 900_000)
  afterAll(async () => {
    await browser?.close()
    await served?.close()
  })

  async function withPage(view: (typeof views)[number], path: string, use: (page: Page) => Promise<void>): Promise<void> {
    const { width, colorScheme } = view
    const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme, reducedMotion: 'reduce' })
    await page.goto(`${served.url}${path}`)
    await use(page)
    await page.close()
  }

  test('has all pages in its sidebar, and the whole package in its reference', () => {
    const links = sidebar().flatMap(({ items = [] }) => items.map(({ link }) => link))
    expect(links).toEqual(
      expect.arrayContaining(['/start', '/concepts', '/faq', '/migrating/redlock', '/api/storelock', '/api/storelock/stores/sqlite']),
    )
  })

  describe.each(views)('at $width px, $colorScheme', (view) => {
    test.each(['', 'start', 'concepts', 'decide', 'faq', 'guarantees', 'migrating/redlock', 'api/storelock'])(
      'shows /%s accessibly, and no wider than the window',
      (path) =>
        withPage(view, path, async (page) => {
          expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0)
          await page.evaluate(axe)
          // A table with headings on two sides has an empty corner.
          const rules = { 'empty-table-header': { enabled: false } }
          const { violations } = await page.evaluate((rules) => (window as never as { axe: typeof import('axe-core') }).axe.run({ rules }), rules)
          expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)).toEqual([])
        }),
      300_000,
    )
  })

  test('searches its pages by keyboard, without requests to other servers', () =>
    withPage({ width: 1280, colorScheme: 'light' }, 'start', async (page) => {
      const abroad: string[] = []
      page.on('request', (request) => {
        if (!request.url().startsWith(served.url)) abroad.push(request.url())
      })
      await page.keyboard.press('Control+k')
      await page.keyboard.type('bind mount docker')
      await page.locator('.VPLocalSearchBox .result').first().waitFor()
      await page.keyboard.press('Enter')
      await page.waitForURL(/faq/)
      expect(abroad).toEqual([])
    }))

  test('can be used by keyboard, and shows the focus', () =>
    withPage({ width: 1280, colorScheme: 'light' }, 'start', async (page) => {
      await page.keyboard.press('Tab')
      expect(await page.evaluate(() => document.activeElement?.textContent)).toContain('Skip to content')
      await page.keyboard.press('Enter')
      await page.keyboard.press('Tab')
      const focused = await page.evaluate(() => {
        const element = document.activeElement as HTMLElement
        return { inContent: document.querySelector('#VPContent')?.contains(element), outline: getComputedStyle(element).outlineStyle }
      })
      expect(focused).toMatchObject({ inContent: true })
      expect(focused.outline).not.toBe('none')
    }))
})
