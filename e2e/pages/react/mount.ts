import { createElement as h, StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { createLocks, type LocksSnapshot } from 'storelock'
import { LocksProvider, type UseLockOptions } from 'storelock/react'
import { indexedDBStore } from 'storelock/stores/indexeddb'
import type { Panel } from './panel.ts'

/** What tests do with the page's only component, as the global `react`. It is in Strict Mode. */
interface Exposed {
  mount(options: UseLockOptions): void
  unmount(): void
  query(): Promise<LocksSnapshot>
}

declare global {
  var react: Exposed
}

/** Lets tests mount a panel. @returns how to put another version in its place */
export function exposeReact(panel: typeof Panel): (next: typeof Panel) => void {
  const locks = createLocks({ store: indexedDBStore('react'), duration: 5_000 })
  const root = createRoot(document.querySelector('div') as HTMLElement)
  let given: UseLockOptions | undefined
  const render = (): void => root.render(given && h(StrictMode, null, h(LocksProvider, { value: locks }, h(panel, { options: given }))))
  const show = (options: UseLockOptions | undefined): void => {
    given = options
    render()
  }
  globalThis.react = { mount: show, unmount: () => show(undefined), query: () => locks.query() }
  return (next) => {
    panel = next
    render()
  }
}
