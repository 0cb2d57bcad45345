import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { Builder, type WebDriver } from 'selenium-webdriver'
import { freePort } from '../../test/servers/running.ts'
import { findBrowser, findProgram } from '../browser.ts'
import type { Engine } from './engine.ts'
import { leashed } from './leash.ts'
import { cannot, windowsOf } from './windows.ts'

/** How long a session may take to begin, in ms. Rarely one never does, and then another driver is started. */
const patience = 20_000

/** WebKitGTK's MiniBrowser, driven by WebKitWebDriver on a virtual screen. */
export async function startWebkit(): Promise<Engine> {
  const started: ChildProcess[] = []
  const end = async (): Promise<void> => {
    await Promise.all(started.splice(0).map(stop))
  }
  try {
    const screen = run(started, [findProgram('Xvfb'), '-displayfd', '3', '-nolisten', 'tcp', '-screen', '0', '1280x1024x24'])
    return await drive(`:${await firstLine(screen, screen.stdio[3] as Readable)}`, started, end)
  } catch (error) {
    await end()
    throw error
  }
}

/** Starts a driver, one for each session: on a busy machine, a driver that has ended a session may fail to begin another. */
async function startDriver(display: string, started: ChildProcess[]): Promise<{ server: ChildProcess; driver: WebDriver }> {
  for (;;) {
    const port = await freePort()
    const server = run(started, [await findBrowser('webkit'), '--host=127.0.0.1', `--port=${port}`], { DISPLAY: display })
    const url = `http://127.0.0.1:${port}`
    await answers(server, `${url}/status`)
    const session = newSession(url)
    session.catch(() => {})
    const driver = await Promise.race([session, sleep(patience, undefined, { ref: false })])
    if (driver) return { server, driver }
    await drop(server, started)
  }
}

/** Kills a driver with its browser. */
async function drop(server: ChildProcess, started: ChildProcess[]): Promise<void> {
  started.splice(started.indexOf(server), 1)
  await kill(server)
}

async function drive(display: string, started: ChildProcess[], end: () => Promise<void>): Promise<Engine> {
  let { server, driver } = await startDriver(display, started)
  let windows = await windowsOf(driver)
  let isFresh = true
  const version = (await driver.getCapabilities()).getBrowserVersion() ?? ''
  return {
    name: 'webkit',
    version,
    cannot: { ...cannot, insecure: 'a name of this machine takes a proxy, with which one session in fourteen never begins' },
    errors: [],
    open(url) {
      isFresh = false
      return windows.open(url)
    },
    deny: () => Promise.reject(new Error(cannot.settings)),
    keepLeftPages: async () => {},
    async reset() {
      if (isFresh) return
      // The storage of a session is deleted with it.
      await drop(server, started)
      ;({ server, driver } = await startDriver(display, started))
      windows = await windowsOf(driver)
      isFresh = true
    },
    close: end,
  }
}

const newSession = async (server: string): Promise<WebDriver> => {
  const driver = await new Builder().usingServer(server).withCapabilities({ browserName: 'MiniBrowser' }).build()
  // The test's own timeout applies instead.
  await driver.manage().setTimeouts({ script: 3_600_000 })
  return driver
}

function run(started: ChildProcess[], command: [string, ...string[]], env: NodeJS.ProcessEnv = {}): ChildProcess {
  const [file, ...args] = leashed(...command)
  const child = spawn(file, args, { detached: true, stdio: ['pipe', 'ignore', 'ignore', 'pipe'], env: { ...process.env, ...env } })
  started.push(child)
  return child
}

/** Asks a process to end, so that it cleans up. The end of its standard input then kills any process that it leaves behind. */
async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const ended = once(child, 'exit')
    child.kill()
    await ended
  }
  child.stdin?.end()
}

/** Kills a process and all that it started: a driver that is asked to end would wait for its browser. */
async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.stdin?.end()
  await ended
}

const ends = async (child: ChildProcess): Promise<never> => {
  const [code] = await once(child, 'exit')
  throw new Error(`${child.spawnargs.slice(4).join(' ')} ended at once, with exit code ${code}`)
}

async function firstLine(child: ChildProcess, from: Readable): Promise<string> {
  const line = once(from, 'data').then(([data]) => String(data).trim())
  return Promise.race([line, ends(child)])
}

/** Resolves once the driver accepts requests. */
async function answers(child: ChildProcess, url: string): Promise<void> {
  const asking = async (): Promise<void> => {
    while (child.exitCode === null && !(await fetch(url).catch(() => undefined))?.ok);
  }
  await Promise.race([asking(), ends(child)])
}
