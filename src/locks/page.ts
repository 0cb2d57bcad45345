import { LockError } from '../protocol/index.ts'

/** What a page is and says that a worker or a process is not. */
export interface Page {
  readonly document: { readonly hidden: boolean; readonly prerendering?: boolean }
  addEventListener(type: string, listener: (event: PageEvent) => void, options: AddEventListenerOptions): void
}

/** What is needed of an event. */
export type PageEvent = Pick<Event, 'type' | 'isTrusted'>

/** The page that this code runs in, if it does. */
export function pageHere(): Page | undefined {
  const page = globalThis as Partial<Page>
  return page.document && page.addEventListener ? (page as Page) : undefined
}

/** Whether this code's document was navigated away from, or its frame removed: nothing that is asked for here is ever answered. */
export const isGone = (): boolean => (globalThis as { document?: Document }).document?.defaultView === null

/** @throws LockError `closed` if it {@link isGone} */
export function assertNotGone(): void {
  if (isGone()) throw new LockError('closed', 'the document of these locks is gone, as when its frame was removed')
}

/**
 * Hears what the browser says of a page's life. Any script may dispatch events of these names, and some do for purposes of their own:
 * only the browser's own are trusted.
 */
export function onPageLife(page: Page, types: readonly string[], heard: (type: string) => void, signal?: AbortSignal): void {
  const listener = ({ type, isTrusted }: PageEvent): void => {
    if (isTrusted) heard(type)
  }
  // Captured by the window, an event comes here before it comes to code that listens for it elsewhere or has done so for longer.
  for (const type of types) page.addEventListener(type, listener, { capture: true, ...(signal && { signal }) })
}

/**
 * Keeps a session in step with its page: leaving it ends the session at once, coming back starts another,
 * and a frozen page waits for nothing, since it could not answer. Nor does a page that is prerendered and may never be shown:
 * it has its storage, but its beacon would have to wait until somebody opens it.
 * @returns how to stop
 */
export function followPage(session: { sleep(asleep: boolean): void; leave(): void }): () => void {
  const page = pageHere()
  if (!page) return () => {}
  const { document } = page
  const stop = new AbortController()
  const wake = (): void => session.sleep(false)
  const steps: Record<string, () => void> = {
    pagehide: () => session.leave(),
    freeze: () => session.sleep(true),
    pageshow: wake,
    resume: wake,
    prerenderingchange: wake,
  }
  const heard = (type: string): void => {
    // A prerendered page is told that it is shown when it has loaded, long before it is.
    if (steps[type] !== wake || !document.prerendering) steps[type]?.()
  }
  onPageLife(page, Object.keys(steps), heard, stop.signal)
  if (document.prerendering) session.sleep(true)
  return () => stop.abort()
}
