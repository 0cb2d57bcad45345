import { type InspectedLocks, StorelockInspector } from './element.ts'

export type { InspectedLocks, StorelockInspector } from './element.ts'

export interface MountOptions {
  /** The element that gets the panel as its last child. Default: the page's body, where the panel floats in a corner. */
  into?: Element
  /** How long after a look at the locks the next one follows, in ms. Default 500. */
  interval?: number
}

const tag = 'storelock-inspector'

/** Makes the browser know `<storelock-inspector>`. Does nothing if it does already, or where there are no pages. */
export function defineInspector(): void {
  if (globalThis.customElements && !customElements.get(tag)) customElements.define(tag, StorelockInspector)
}

/**
 * Shows a panel with the locks of a store: holders, queues, tokens, beats, events and cycles of waits, and buttons to ask, revoke and sweep. It sees
 * and does what the locks that it gets may see and do: of one namespace, and at a lock server with the rights of its credential. `remove()` takes it
 * away. For development.
 *
 * @param locks those of `createLocks`, or of which only `query` is passed on for a panel that can only look; may be set later, as `inspector.locks`
 * @throws TypeError where there are no pages, RangeError if the interval is wrong
 * @example
 * const inspector = mountInspector()
 * inspector.locks = createLocks({ store, observe: inspector.observe })
 */
export function mountInspector(locks?: InspectedLocks, { into, interval }: MountOptions = {}): StorelockInspector {
  if (!globalThis.customElements) throw new TypeError('the inspector needs a page')
  defineInspector()
  const inspector = document.createElement(tag) as StorelockInspector
  if (interval !== undefined) inspector.interval = interval
  inspector.locks = locks
  inspector.toggleAttribute('floating', !into)
  ;(into ?? document.body).append(inspector)
  return inspector
}

declare global {
  interface HTMLElementTagNameMap {
    'storelock-inspector': StorelockInspector
  }
}
