import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { findChromium, launchChromium } from '../e2e/browser.ts'
import type { Half } from './half.ts'
import { startProcesses } from './processes.ts'
import { save } from './save.ts'
import { openSite } from './site.ts'
import { type Incident, story } from './story.ts'
import { startTabs } from './tabs.ts'
import { conclusion, faults, type Tally, table, tally } from './tally.ts'
import { openTerminal, type Terminal } from './terminal.ts'

const writers = 4

/** Takes note of what has to be undone at the end, last things first. */
export type Defer = (undo: () => Promise<unknown>) => void

/** The whole demo, in windows or headless. @returns whether all went as it should */
export async function show(windows: boolean, defer: Defer): Promise<boolean> {
  const terminal = openTerminal()
  defer(async () => terminal.stop())
  const directory = await mkdtemp(join(tmpdir(), 'storelock-demo-'))
  defer(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }))
  const started = async (starting: Promise<Half>): Promise<Half> => {
    const half = await starting
    defer(() => half.close())
    return half
  }

  terminal.say('a browser and four processes start')
  const browser = await openBrowser(windows, terminal, defer)
  const starting = [started(startProcesses(writers, directory))]
  if (browser !== undefined) {
    const site = await openSite(directory)
    defer(() => site.close())
    starting.unshift(started(startTabs(writers, browser, site.url, windows)))
  }
  const halves = await Promise.all(starting)
  terminal.say(`four writers each take turns: ${halves.map(({ title }) => title).join(', ')}`)
  terminal.watch(halves)
  const tallies = await Promise.all(halves.map((half) => play(half, terminal)))
  terminal.stop()

  const paths = await save(
    halves.map((half, index) => ({ half, tally: tallies[index] as Tally })),
    browser,
  )
  console.log(['', ...table(tallies), '', ...conclusion(tallies), ...paths.map((path) => `timeline: ${path}`)].join('\n'))
  return tallies.every((each) => faults(each).length === 0)
}

/** Without a browser the processes' half is shown all the same. */
async function openBrowser(windows: boolean, { say }: Terminal, defer: Defer): Promise<Browser | undefined> {
  try {
    await findChromium(say)
    // Ctrl-C is ours: Playwright's own handler would end this process before it has cleaned up.
    const browser = await launchChromium({ headless: !windows, handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false })
    defer(() => browser.close())
    return browser
  } catch (error) {
    say(`only processes in this run. ${error instanceof Error ? error.message : String(error)}`)
    return undefined
  }
}

async function play(half: Half, terminal: Terminal): Promise<Tally> {
  const say = (line: string) => terminal.say(`${half.title.padEnd(20)}${line}`)
  const incidents: Incident[] = []
  let interruption: string | undefined
  half.log.listen((told) => {
    if (told.type === 'failed') say(`${told.writer}: ${told.message}`)
  })
  try {
    await story(half, incidents, say)
  } catch (error) {
    interruption = error instanceof Error ? error.message : String(error)
    say(interruption)
  }
  return tally(half, incidents, interruption)
}
