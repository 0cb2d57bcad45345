import type { Page, PageEvent } from '../../src/locks/page.ts'

/** The minimum of a page: its window, to which a test sends events, as the browser or as a script. */
export class Window implements Page {
  readonly document: { hidden: boolean; prerendering: boolean } = { hidden: false, prerendering: false }
  readonly #listeners = new Set<readonly [type: string, listener: (event: PageEvent) => void]>()

  addEventListener(type: string, listener: (event: PageEvent) => void, { signal }: AddEventListenerOptions = {}): void {
    const entry = [type, listener] as const
    this.#listeners.add(entry)
    signal?.addEventListener('abort', () => this.#listeners.delete(entry))
  }

  /** How many listeners there are. */
  get listeners(): number {
    return this.#listeners.size
  }

  /** The browser says that something happened. */
  tell(type: string): void {
    this.#dispatch({ type, isTrusted: true })
  }

  /** A script dispatches an event of its own. */
  pretend(type: string): void {
    this.#dispatch({ type, isTrusted: false })
  }

  #dispatch(event: PageEvent): void {
    for (const [type, listener] of [...this.#listeners]) if (type === event.type) listener(event)
  }
}
