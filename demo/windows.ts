import type { Browser, BrowserContext, Page } from 'playwright-core'

/** Opens pages as windows of their own, two beside each other, so that all can be seen at once. Playwright alone would open tabs of one window. */
export async function openWindows(browser: Browser, context: BrowserContext, count: number): Promise<Page[]> {
  const pages = [await context.newPage()]
  const [first] = pages
  if (first === undefined) return pages
  const { width, height } = await first.evaluate(() => ({ width: screen.availWidth, height: screen.availHeight }))
  const { targetInfo } = await (await context.newCDPSession(first)).send('Target.getTargetInfo')
  const cdp = await browser.newBrowserCDPSession()
  while (pages.length < count) {
    const { browserContextId } = targetInfo
    const opened = context.waitForEvent('page')
    await cdp.send('Target.createTarget', { url: 'about:blank', newWindow: true, ...(browserContextId && { browserContextId }) })
    pages.push(await opened)
  }
  const rows = Math.ceil(count / 2)
  for (const [index, page] of pages.entries()) {
    const session = await context.newCDPSession(page)
    const { windowId } = await session.send('Browser.getWindowForTarget')
    const bounds = { width: Math.floor(width / 2), height: Math.floor(height / rows) }
    const corner = { left: (index % 2) * bounds.width, top: Math.floor(index / 2) * bounds.height }
    await session.send('Browser.setWindowBounds', { windowId, bounds: { ...bounds, ...corner } })
  }
  return pages
}
