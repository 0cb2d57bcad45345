type Place = { document?: unknown; addEventListener?: unknown }

/** A tab's window, as far as the library listens to it: the events of its document come there too. */
export class Page {
  readonly #window = new EventTarget()

  /** What is made meanwhile takes this page for its own. */
  during<T>(make: () => T): T {
    const place = globalThis as Place
    place.document = {}
    place.addEventListener = this.#window.addEventListener.bind(this.#window)
    try {
      return make()
    } finally {
      delete place.document
      delete place.addEventListener
    }
  }

  tell(type: 'pagehide' | 'pageshow' | 'freeze' | 'resume'): void {
    this.#window.dispatchEvent(new Event(type))
  }
}
