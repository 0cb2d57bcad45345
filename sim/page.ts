type Place = { document?: unknown; addEventListener?: unknown }

/** A tab's window and document, as far as the library listens to them. */
export class Page {
  readonly #window = new EventTarget()
  readonly #document = new EventTarget()

  /** What is made meanwhile takes this page for its own. */
  during<T>(make: () => T): T {
    const place = globalThis as Place
    place.document = this.#document
    place.addEventListener = this.#window.addEventListener.bind(this.#window)
    try {
      return make()
    } finally {
      delete place.document
      delete place.addEventListener
    }
  }

  tell(type: 'pagehide' | 'pageshow' | 'freeze' | 'resume'): void {
    const target = type.startsWith('page') ? this.#window : this.#document
    target.dispatchEvent(new Event(type))
  }
}
