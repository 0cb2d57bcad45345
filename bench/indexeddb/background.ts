import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Browser, launch } from 'puppeteer-core'
import { Builder } from 'selenium-webdriver'
import { launchBackground } from '../../e2e/background.ts'

/** A hidden tab, which its engine throttles as it would for a real user. */
export interface HiddenTab {
  evaluate<T>(expression: string): Promise<T>
  close(): Promise<void>
}

/** Each function opens a tab with the page at `url`, waits until it is ready, and hides it. It returns nothing if the engine is not installed. */
export const engines: Readonly<Record<string, (url: string) => Promise<HiddenTab | undefined>>> = {
  // A hidden tab's timers drop to one per minute after 5 s instead of 5 minutes.
  Chromium: async (url) => inPuppeteer(await launchBackground(5), url),

  async Firefox(url) {
    const executablePath = onPath('firefox', 'firefox-esr')
    return executablePath ? inPuppeteer(await launch({ browser: 'firefox', executablePath }), url) : undefined
  },

  async WebKit(url) {
    const [driver, screen] = [onPath('WebKitWebDriver'), onPath('xvfb-run')]
    return driver && screen ? inWebKit(screen, driver, url) : undefined
  },
}

async function inPuppeteer(browser: Browser, url: string): Promise<HiddenTab> {
  const page = await browser.newPage()
  await page.goto(url)
  await (await browser.newPage()).bringToFront()
  const tab: HiddenTab = { evaluate: (expression) => page.evaluate(expression) as Promise<never>, close: () => browser.close() }
  return whenHidden(tab)
}

async function inWebKit(screen: string, driver: string, url: string): Promise<HiddenTab> {
  const port = await freePort()
  const child = spawn(screen, ['-a', driver, `--port=${port}`], { detached: true, stdio: 'ignore' })
  const end = (): void => endGroup(child)
  process.once('exit', end)
  const close = async (): Promise<void> => {
    process.off('exit', end)
    end()
  }
  try {
    const server = `http://127.0.0.1:${port}`
    while (child.exitCode === null && !(await fetch(`${server}/status`).catch(() => undefined))?.ok);
    const session = await new Builder().usingServer(server).withCapabilities({ browserName: 'MiniBrowser' }).build()
    await session.get(url)
    await session.manage().window().minimize()
    return await whenHidden({
      evaluate: (expression) => session.executeAsyncScript(`const done = arguments[0]; Promise.resolve(${expression}).then(done)`),
      async close() {
        await session.quit().catch(() => {})
        await close()
      },
    })
  } catch (error) {
    await close()
    throw error
  }
}

async function whenHidden(tab: HiddenTab): Promise<HiddenTab> {
  while (!(await tab.evaluate(`document.hidden && 'hiddenTab' in globalThis`)));
  return tab
}

/** Serves one page that runs a script. */
export async function servePage(script: string): Promise<{ readonly url: string; close(): void }> {
  const server: Server = createServer(({ url }, answer) => {
    const [type, body] =
      url === '/script.js' ? ['text/javascript', script] : ['text/html', '<!doctype html><script type="module" src="/script.js"></script>']
    answer.setHeader('content-type', `${type}; charset=utf-8`).end(body)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, close: () => server.close() }
}

async function freePort(): Promise<number> {
  const { url, close } = await servePage('')
  close()
  return Number(new URL(url).port)
}

function onPath(...names: string[]): string | undefined {
  for (const name of names) {
    try {
      return execFileSync('sh', ['-c', 'command -v "$0"', name], { encoding: 'utf8' }).trim()
    } catch {
      // Tries the next one.
    }
  }
  return undefined
}

function endGroup({ pid }: ChildProcess): void {
  try {
    if (pid) process.kill(-pid)
  } catch {
    // The process has ended.
  }
}
