import type { PageEvent } from '../src/locks/page.ts'

type Place = { document?: unknown; addEventListener?: unknown }
type Listener = (event: PageEvent) => void

/** The part of a tab's window to which the library listens. The events of its document arrive there too. */
export class Page {
  readonly #listeners = new Map<string, Set<Listener>>()

  /** Calls `make` with this page as the global one, so that the result uses it. */
  during<T>(make: () => T): T {
    const place = globalThis as Place
    place.document = {}
    place.addEventListener = (type: string, listener: Listener, { signal }: AddEventListenerOptions = {}) => {
      const listeners = this.#listeners.get(type) ?? new Set()
      this.#listeners.set(type, listeners.add(listener))
      signal?.addEventListener('abort', () => listeners.delete(listener))
    }
    try {
      return make()
    } finally {
      delete place.document
      delete place.addEventListener
    }
  }

  tell(type: 'pagehide' | 'pageshow' | 'freeze' | 'resume'): void {
    for (const listener of [...(this.#listeners.get(type) ?? [])]) listener({ type, isTrusted: true })
  }
}
