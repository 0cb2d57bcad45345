import { mkdir, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser } from 'playwright-core'
import { type Chapter, timeline } from './timeline.ts'

const out = fileURLToPath(new URL('../out', import.meta.url))

/** Saves the timeline as SVG and, where there is a browser to draw it, as PNG. @returns their paths, from here */
export async function save(chapters: readonly Chapter[], browser: Browser | undefined): Promise<string[]> {
  const svg = timeline(chapters)
  const paths = [join(out, 'demo-timeline.svg')]
  await mkdir(out, { recursive: true })
  await writeFile(join(out, 'demo-timeline.svg'), svg)
  if (browser !== undefined) {
    paths.push(join(out, 'demo-timeline.png'))
    await writeFile(join(out, 'demo-timeline.png'), await draw(browser, svg))
  }
  return paths.map((path) => relative('', path))
}

async function draw(browser: Browser, svg: string): Promise<Buffer> {
  const page = await browser.newPage({ deviceScaleFactor: 2 })
  try {
    await page.setContent(`<!doctype html><style>body { margin: 0 } svg { display: block }</style>${svg}`)
    return await page.locator('svg').screenshot()
  } finally {
    await page.close()
  }
}
