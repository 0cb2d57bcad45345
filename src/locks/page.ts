import type { Session } from './session.ts'

/** What a page is and says that a worker or a process is not. */
export interface Page {
  readonly document: { readonly hidden: boolean }
  addEventListener(type: string, listener: (event: Event) => void, options: AddEventListenerOptions): void
}

/** The page that this code runs in, if it does. */
export function pageHere(): Page | undefined {
  const page = globalThis as Partial<Page>
  return page.document && page.addEventListener ? (page as Page) : undefined
}

/**
 * Keeps a session in step with its page: leaving it ends the session at once, coming back starts another,
 * and a frozen page waits for nothing, since it could not answer.
 * @returns how to stop
 */
export function followPage(session: Pick<Session, 'sleep' | 'end'>): () => void {
  const page = pageHere()
  if (!page) return () => {}
  const freeze = (): void => session.sleep(true)
  const resume = (): void => session.sleep(false)
  const leave = (): void => {
    freeze()
    session.end('the page was left', true)
  }
  const stop = new AbortController()
  // Captured by the window, an event comes here before it comes to code that listens for it elsewhere or has done so for longer.
  const first = { capture: true, signal: stop.signal }
  for (const [type, listener] of Object.entries({ pagehide: leave, pageshow: resume, freeze, resume })) page.addEventListener(type, listener, first)
  return () => stop.abort()
}
