import type { Page, PageEvent } from '../../src/locks/page.ts'

/** A minimal page: its window, to which a test sends events in the role of the browser or of a script. */
export class Window implements Page {
  readonly document: { hidden: boolean; prerendering: boolean } = { hidden: false, prerendering: false }
  readonly #listeners = new Set<readonly [type: string, listener: (event: PageEvent) => void]>()

  addEventListener(type: string, listener: (event: PageEvent) => void, { signal }: AddEventListenerOptions = {}): void {
    const entry = [type, listener] as const
    this.#listeners.add(entry)
    signal?.addEventListener('abort', () => this.#listeners.delete(entry))
  }

  /** The number of listeners. */
  get listeners(): number {
    return this.#listeners.size
  }

  /** Sends an event of the browser. */
  tell(type: string): void {
    this.#dispatch({ type, isTrusted: true })
  }

  /** Sends an event that a script dispatched. */
  pretend(type: string): void {
    this.#dispatch({ type, isTrusted: false })
  }

  #dispatch(event: PageEvent): void {
    for (const [type, listener] of [...this.#listeners]) if (type === event.type) listener(event)
  }
}
