import type { Session } from './session.ts'

/** What a page is and says that a worker or a process is not. */
interface Page {
  document?: { addEventListener: typeof addEventListener; removeEventListener: typeof removeEventListener }
  addEventListener?: typeof addEventListener
  removeEventListener?: typeof removeEventListener
}

/**
 * Keeps a session in step with its page: leaving it ends the session at once, coming back starts another,
 * and a frozen page waits for nothing, since it could not answer.
 * @returns how to stop
 */
export function followPage(session: Pick<Session, 'sleep' | 'end'>): () => void {
  const page: Page = globalThis
  const { document } = page
  if (!document || !page.addEventListener) return () => {}
  const freeze = (): void => session.sleep(true)
  const resume = (): void => session.sleep(false)
  const hide = (): void => {
    freeze()
    session.end('the page was left', true)
  }
  page.addEventListener('pagehide', hide)
  page.addEventListener('pageshow', resume)
  document.addEventListener('freeze', freeze)
  document.addEventListener('resume', resume)
  return () => {
    page.removeEventListener?.('pagehide', hide)
    page.removeEventListener?.('pageshow', resume)
    document.removeEventListener('freeze', freeze)
    document.removeEventListener('resume', resume)
  }
}
