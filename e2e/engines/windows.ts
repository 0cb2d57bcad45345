import type { WebDriver } from 'selenium-webdriver'
import { type Driver, type Need, type Tab, tabOn } from './engine.ts'

export const cannot = {
  crash: 'a tab that crashes ends its driver',
  errors: 'its driver does not tell what pages throw',
  quota: 'its driver cannot limit the quota',
  settings: 'its driver cannot set which pages may store nothing',
  busy: 'its workers get no answer from IndexedDB while their page is busy',
} as const satisfies Partial<Record<Need, string>>

interface Windows {
  open(url: string): Promise<Tab>
}

/** The windows of a WebDriver session. Commands go to the window that was selected last, so each is queued together with its selection. */
export async function windowsOf(driver: WebDriver): Promise<Windows> {
  // Closing the last window would end the session, so the first window stays open, with an empty page.
  const first = await driver.getWindowHandle()
  let last: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(command: () => Promise<T>): Promise<T> => {
    const turn = last.then(command)
    last = turn.catch(() => {})
    return turn
  }

  const driverOf = (handle: string): Driver => {
    const there = <T>(command: () => Promise<T>): Promise<T> =>
      inTurn(async () => {
        await driver.switchTo().window(handle)
        return command()
      })
    const name = JSON.stringify(handle)
    /**
     * Commands to other windows may run while a page works, so the answer is not awaited within the turn. If another selection reaches the
     * driver first, the script finds itself in the wrong window, does nothing there, and is sent again.
     */
    const run = async (expression: string): Promise<string> => {
      for (;;) {
        const { answer } = await there(async () => {
          await driver.executeScript(`window.name = ${name}`)
          const script = `const done = arguments[0]; if (window.name !== ${name}) done(null); else ${expression}.then(done)`
          const answer = driver.executeAsyncScript<string | null>(script)
          // Once this later command is answered, the script is running. Without it, two pages might displace each other's scripts for ever.
          await driver.getWindowHandle()
          return { answer }
        })
        const text = await answer
        if (text !== null) return text
      }
    }
    /** The driver may answer before the page has run its modules. */
    const loaded = async (): Promise<void> => {
      while (!(await driver.executeScript<boolean>(`return document.readyState === 'complete'`)));
    }
    const going = (go: () => Promise<void>): Promise<void> =>
      there(async () => {
        await go()
        await loaded()
      })
    return {
      run,
      navigate: (url) => going(() => driver.get(url)),
      reload: () => going(() => driver.navigate().refresh()),
      back: () => going(() => driver.navigate().back()),
      close: () => there(() => driver.close()),
      crash: () => Promise.reject(new Error(cannot.crash)),
      limitQuota: () => Promise.reject(new Error(cannot.quota)),
    }
  }

  return {
    async open(url) {
      const handle = await inTurn(async () => {
        // The window that was selected last may be closed by now.
        await driver.switchTo().window(first)
        await driver.switchTo().newWindow('window')
        return driver.getWindowHandle()
      })
      const tab = tabOn(driverOf(handle))
      // The page that has loaded may still be the empty one that a new window shows first.
      do await tab.navigate(url)
      while (await tab.evaluate(() => location.href === 'about:blank'))
      return tab
    },
  }
}
