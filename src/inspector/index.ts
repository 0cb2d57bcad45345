import { type InspectedLocks, StorelockInspector } from './element.ts'

export type { InspectedLocks, StorelockInspector } from './element.ts'

export interface MountOptions {
  /** The element that gets the panel as its last child. Default: the page's body, where the panel floats in a corner. */
  into?: Element | undefined
  /** How long after a look at the locks the next one follows, in ms. Default 500. */
  interval?: number | undefined
}

const tag = 'storelock-inspector'

/** Defines the element `<storelock-inspector>`. Does nothing if it is already defined, or outside a page. */
export function defineInspector(): void {
  if (globalThis.customElements && !customElements.get(tag)) customElements.define(tag, StorelockInspector)
}

/**
 * Shows a panel with the locks of a store: holders, queues, tokens, beats, events and cycles of waits, and buttons to ask, revoke and sweep. The
 * panel can see and do what the locks that you pass can: those of one namespace, and on a lock server with the rights of their credential. `remove()`
 * removes it. For development.
 *
 * @param locks the result of `createLocks`, or only its `query` for a panel that can only look; may be set later, as `inspector.locks`
 * @throws TypeError outside a page, RangeError if the interval is wrong
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
