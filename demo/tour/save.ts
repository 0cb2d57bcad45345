import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { CDPSession, Page } from 'playwright-core'
import { type Group, timeline } from '../model/timeline.ts'
import { type FilmFrame, film } from './film.ts'
import { page } from './report.ts'
import type { Chapter } from './result.ts'

const out = fileURLToPath(new URL('../../out/demo', import.meta.url))
const styles = new URL('../model/timeline.css', import.meta.url)

/** In ms: often enough to follow, and rarely enough not to slow down the tabs. */
const frameEvery = 500

/** The files that a tour leaves in `out/demo`. */
export interface Album {
  /** Names of pictures, in the order in which they were taken. */
  readonly pictures: string[]
  /** Films a page from now on, with a few pictures per second. */
  film(page: Page): Promise<void>
  /** Returns a function that takes numbered pictures of a page. */
  of(page: Page, prefix: string): (name: string) => Promise<void>
  close(): Promise<void>
}

export async function openAlbum(): Promise<Album> {
  await rm(out, { recursive: true, force: true })
  await mkdir(out, { recursive: true })
  const pictures: string[] = []
  const frames: FilmFrame[] = []
  let started = 0
  let session: CDPSession | undefined
  return {
    pictures,
    async film(page) {
      started = performance.now()
      session = await page.context().newCDPSession(page)
      session.on('Page.screencastFrame', ({ data, sessionId }) => {
        frames.push({ at: Math.round(performance.now() - started), jpeg: data })
        // The browser sends the next frame only after this acknowledgement.
        setTimeout(() => session?.send('Page.screencastFrameAck', { sessionId }).catch(() => {}), frameEvery)
      })
      await session.send('Page.startScreencast', { format: 'jpeg', quality: 50, maxWidth: 960, maxHeight: 720 })
    },
    of: (page, prefix) => async (name) => {
      const file = `${pictures.length + 1}-${prefix}-${name}.png`
      await page.screenshot({ path: join(out, file) })
      pictures.push(file)
    },
    async close() {
      await session?.send('Page.stopScreencast')
      if (frames.length) await writeFile(join(out, 'film.html'), film(frames))
    },
  }
}

/** Saves the timelines and the report. @returns lines with the relative paths, and what to do with them */
export async function save(chapters: readonly Chapter[], { pictures }: Album): Promise<string[]> {
  const css = await readFile(styles, 'utf8')
  const drawings = chapters.map(({ cast, log, from, to }) => standalone({ title: cast.title, history: log.history }, from, to, css))
  const names = drawings.map((_, index) => `timeline-${chapters.length - index === 1 ? 'processes' : 'tabs'}.svg`)
  await Promise.all(names.map((name, index) => writeFile(join(out, name), drawings[index] ?? '')))
  await writeFile(join(out, 'report.html'), page(chapters, names, pictures))
  const here = (name: string) => relative('', join(out, name))
  const filmed = pictures.length ? [`${here('film.html')}   (a film of the page)`] : []
  return [`${here('report.html')}   (all in one page)`, ...filmed, ...[...names, ...pictures].map(here)]
}

const width = 1_280

/** A timeline as a standalone SVG file. */
export function standalone(group: Group, from: number, to: number, css: string): string {
  const { body, height } = timeline([group], { from, to, width, live: false })
  const box = `viewBox="-12 -8 ${width + 24} ${height + 16}" width="${width + 24}" height="${height + 16}"`
  const paper = `<rect x="-12" y="-8" width="${width + 24}" height="${height + 16}" rx="8" fill="var(--tl-paper)"/>`
  return `<svg xmlns="http://www.w3.org/2000/svg" class="tl" role="img" aria-label="who had the lock, and when" ${box}><style>${css}</style>${paper}${body}</svg>\n`
}
