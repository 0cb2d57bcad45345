import { LockError } from '../protocol/index.ts'

/** The parts of a page that are used here. Workers and processes have no page. */
export interface Page {
  readonly document: { readonly hidden: boolean; readonly prerendering?: boolean }
  addEventListener(type: string, listener: (event: PageEvent) => void, options: AddEventListenerOptions): void
}

/** The parts of an event that are used here. */
export type PageEvent = Pick<Event, 'type' | 'isTrusted'>

/** The page that this code runs in, if any. */
export function pageHere(): Page | undefined {
  const page = globalThis as Partial<Page>
  return page.document && page.addEventListener ? (page as Page) : undefined
}

/** Whether this code's document was navigated away from, or its frame removed: then no request from here is ever answered. */
export const isGone = (): boolean => (globalThis as { document?: Document }).document?.defaultView === null

/** @throws LockError `closed` if it {@link isGone} */
export function assertNotGone(): void {
  if (isGone()) throw new LockError('closed', 'the document of these locks is gone')
}

/**
 * Listens to the browser's events of a page's life. Scripts may dispatch events of these names for purposes of their own, so only trusted events
 * count.
 */
export function onPageLife(page: Page, types: readonly string[], heard: (type: string) => void, signal?: AbortSignal): void {
  const listener = ({ type, isTrusted }: PageEvent): void => {
    if (isTrusted) heard(type)
  }
  // A capturing listener on the window runs before listeners on other targets, and before older ones on the window that do not capture.
  for (const type of types) page.addEventListener(type, listener, { capture: true, ...(signal && { signal }) })
}

/**
 * Keeps a session in step with its page: leaving the page ends the session at once, coming back starts another, and a frozen page withdraws its
 * waits, since it could not answer. So does a prerendered page, which may never be shown: it has storage, but its beacon would have to wait until the
 * user opens the page.
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
    // A prerendered page gets `pageshow` when it has loaded, long before it is shown.
    if (steps[type] !== wake || !document.prerendering) steps[type]?.()
  }
  onPageLife(page, Object.keys(steps), heard, stop.signal)
  if (document.prerendering) session.sleep(true)
  return () => stop.abort()
}
