import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { launchChromium, presentBrowser } from '../../e2e/browser.ts'
import { openSite } from '../site.ts'
import { Log } from './log.ts'
import { shrink } from './png.ts'
import { standalone } from './save.ts'
import { writes } from './story.ts'
import type { Defer } from './tour.ts'

const folder = fileURLToPath(new URL('../../docs/demo', import.meta.url))
const styles = new URL('../model/timeline.css', import.meta.url)

const sizes = { wide: { width: 1280, height: 755 }, narrow: { width: 390, height: 844 } }

/** Takes the pictures for the docs: a page in which one worker has crashed and another has come back too late, and its timeline. */
export async function takePictures(defer: Defer): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'storelock-demo-'))
  defer(() => rm(directory, { recursive: true, force: true }))
  const site = await openSite(directory)
  defer(() => site.close())
  const browser = await launchChromium({ executablePath: await presentBrowser('chromium') })
  defer(() => browser.close())

  const page = await browser.newPage({ viewport: sizes.wide })
  const log = new Log(() => {})
  await page.exposeBinding('tellDriver', (_source, told) => log.add(told))
  const from = performance.timeOrigin + performance.now()
  await page.goto(`${site.url}?workers=4`)
  const press = async (name: string, to: string) => {
    await page.locator('#who').selectOption(to)
    await page.getByRole('button', { name }).click()
  }
  await writes(log, ['worker 1', 'worker 2', 'worker 3', 'worker 4'])
  await page.locator('#who').selectOption('whoever fits')
  const replaced = log.next('a take-over', ({ takeOver }) => takeOver?.why === 'death')
  await press('Hold', 'worker 4')
  await log.of('worker 4', 'keeps')
  await press('Crash', 'worker 4')
  await replaced
  const refused = log.of('worker 2', 'refused')
  await press('Hang', 'worker 2')
  await refused
  await page.locator('#who').selectOption('whoever fits')

  await mkdir(folder, { recursive: true })
  const to = performance.timeOrigin + performance.now()
  for (const [size, viewport] of Object.entries(sizes)) {
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.setViewportSize(viewport)
      await page.emulateMedia({ colorScheme })
      // Waits until the timeline is drawn again, since it depends on the width.
      await page.evaluate(
        () => new Promise((drawn) => new MutationObserver(drawn).observe(document.querySelector('#lanes') as Element, { childList: true })),
      )
      await writeFile(join(folder, `page-${size}-${colorScheme}.png`), shrink(await page.screenshot()))
    }
  }
  const svg = standalone({ title: 'workers', history: log.history }, Math.max(from, to - 22_000), to, await readFile(styles, 'utf8'))
  await writeFile(join(folder, 'timeline.svg'), svg)
  console.log(`The pictures are in ${relative('', folder)}.`)
}
