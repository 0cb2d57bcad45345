import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pc from 'picocolors'
import type { Browser } from 'playwright-core'
import { launchChromium, presentBrowser } from '../../e2e/browser.ts'
import { promises } from '../model/captions.ts'
import { report } from '../model/reports.ts'
import { startProcesses } from '../processes/start.ts'
import { openSite } from '../site.ts'
import type { Cast } from './cast.ts'
import { Log, type Said } from './log.ts'
import { type Chapter, faults, lines } from './result.ts'
import { type Album, openAlbum, save } from './save.ts'
import { hang, type Scenes, story, writes } from './story.ts'
import { startTabs, type Tabs } from './tabs.ts'

/** Registers a step of the cleanup at the end. The steps run in reverse order. */
export type Defer = (undo: () => unknown) => void

/** Runs the whole tour. @returns whether everything went well */
export async function tour(headed: boolean, defer: Defer): Promise<boolean> {
  const directory = await mkdtemp(join(tmpdir(), 'storelock-demo-'))
  defer(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }))
  const line = (words: string) => console.log(`${pc.dim(`${(performance.now() / 1_000).toFixed(1).padStart(5)} s`)}  ${words}`)
  let over = false
  const say = ({ text, tone, shows }: Said) => {
    // The closing of tabs at the end belongs to no scene.
    if (over) return
    line(tone === 'bad' ? pc.red(text) : tone === 'good' ? pc.green(text) : text)
    if (shows) console.log(pc.dim(`         promise: ${promises[shows]}`))
  }

  const ofTabs = new Log(say)
  const ofProcesses = new Log(say)
  let tabs: Tabs | undefined
  const processes = await startProcesses(3, directory, (told) => {
    ofProcesses.add(told)
    tabs?.show(told, processes.title)
  })
  defer(() => processes.close())
  const browser = await openBrowser(headed, defer, line)
  const album = await openAlbum()
  const chapters: Chapter[] = []
  if (browser) {
    const site = await openSite(directory)
    defer(() => site.close())
    tabs = await startTabs(browser, site.url, (told) => ofTabs.add(told))
    defer(() => tabs?.close())
    await album.film(tabs.board)
    chapters.push(await playTabs(tabs, ofTabs, album))
  }
  const [keeper = '', rival = '', victim = ''] = processes.names
  const picture = tabs && album.of(tabs.board, 'processes')
  chapters.push(await play(processes, ofProcesses, { keeper, rival, hanger: keeper, victim }, { until: 46_000, ...(picture && { picture }) }))

  over = true
  await album.close()
  const paths = await save(chapters, album)
  console.log(['', ...lines(chapters), '', ...paths.map((path) => `saved: ${path}`)].join('\n'))
  return chapters.every((chapter) => faults(chapter).length === 0)
}

/** Starts a browser. Without one, the tour shows only the processes. */
async function openBrowser(headed: boolean, defer: Defer, line: (words: string) => void): Promise<Browser | undefined> {
  try {
    const executablePath = await presentBrowser('chromium')
    // We handle Ctrl-C: Playwright's own handler would end this process before its cleanup.
    const browser = await launchChromium({ executablePath, headless: !headed, handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false })
    defer(() => browser.close())
    return browser
  } catch (error) {
    line(`This run has only processes. ${error instanceof Error ? error.message : String(error)}`)
    return undefined
  }
}

function playTabs(tabs: Tabs, log: Log, album: Album): Promise<Chapter> {
  const [keeper = '', hanger = '', rival = '', victim = ''] = tabs.names
  const extras = [
    {
      name: 'a tab that stands at a breakpoint',
      async play() {
        await tabs.breakpoint(rival)
        await hang(tabs, log, rival)
      },
    },
    {
      name: 'a browser that is offline',
      async play(survivors: readonly string[]) {
        await tabs.context.setOffline(true)
        log.say({ text: 'The browser is offline. Nothing changes: the lock is in the browser’s own database, and needs no network.' })
        await writes(log, survivors)
        await tabs.context.setOffline(false)
      },
    },
  ]
  return play(tabs, log, { keeper, rival, hanger, victim }, { until: 28_000, picture: album.of(tabs.board, 'tabs'), extras })
}

async function play(cast: Cast, log: Log, parts: Parameters<typeof story>[2], scenes: Scenes): Promise<Chapter> {
  const from = performance.timeOrigin + performance.now()
  try {
    await story(cast, log, parts, scenes)
  } catch (error) {
    log.add(report('the tour', { type: 'failed', message: error instanceof Error ? error.message : String(error) }))
  }
  return { cast, log, tallies: await cast.tallies(), from, to: performance.timeOrigin + performance.now() }
}
