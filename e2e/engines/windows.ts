import type { WebDriver } from 'selenium-webdriver'
import { evaluateBy, type Tab } from './engine.ts'

interface Windows {
  open(url: string): Promise<Tab>
}

/** The windows of a WebDriver session. Its commands go to the window that was chosen last, so each command stands in line with the choice before it. */
export function windowsOf(driver: WebDriver): Windows {
  let last: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(command: () => Promise<T>): Promise<T> => {
    const turn = last.then(command)
    last = turn.catch(() => {})
    return turn
  }

  const tabOf = (handle: string): Tab => {
    const there = <T>(command: () => Promise<T>): Promise<T> =>
      inTurn(async () => {
        await driver.switchTo().window(handle)
        return command()
      })
    /** A window keeps its name when it shows another page of the site. */
    const arrive = async (): Promise<void> => {
      await driver.executeScript(`window.name = ${JSON.stringify(handle)}`)
    }
    /**
     * Others have their turn while a page works, so the answer is not waited for within the turn. Then the choice of another window may
     * reach the driver first: a script that finds itself in the wrong window does nothing there, and is sent anew.
     */
    const run = async (expression: string): Promise<string> => {
      for (;;) {
        const script = `const done = arguments[0]; if (window.name !== ${JSON.stringify(handle)}) done(null); else ${expression}.then(done)`
        const { answer } = await there(async () => ({ answer: driver.executeAsyncScript<string | null>(script) }))
        const text = await answer
        if (text !== null) return text
      }
    }
    const going = (go: () => Promise<void>): Promise<void> =>
      there(async () => {
        await go()
        await arrive()
      })
    return {
      evaluate: evaluateBy(run),
      navigate: (url) => going(() => driver.get(url)),
      reload: () => going(() => driver.navigate().refresh()),
      back: () => going(() => driver.navigate().back()),
      close: () => there(() => driver.close()),
      crash: () => Promise.reject(new Error('WebKitWebDriver cannot crash a tab. See can.crash.')),
    }
  }

  return {
    async open(url) {
      const handle = await inTurn(async () => {
        // Closing the last window would end the session, so the first stays, empty.
        await driver.switchTo().newWindow('window')
        return driver.getWindowHandle()
      })
      const tab = tabOf(handle)
      await tab.navigate(url)
      return tab
    },
  }
}
