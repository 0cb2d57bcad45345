import { createElement as h, StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { createLocks } from 'storelock'
import { LocksProvider, type UseLockOptions } from 'storelock/react'
import { indexedDBStore } from 'storelock/stores/indexeddb'
import type { Panel } from './panel.ts'

/** What tests do with the page's only component, as the global `react`. It is in Strict Mode. */
interface Exposed {
  mount(options: UseLockOptions): void
  unmount(): void
  /** Waits until the panel shows this. @returns its token, 0 if it shows none */
  shows(what: 'state' | 'version', value: string | number): Promise<number>
  click(): void
  /** How many hold the lock, and how many wait for it. */
  counts(): Promise<{ readonly held: number; readonly pending: number }>
}

declare global {
  var react: Exposed
}

/** Lets tests mount a panel. @returns how to put another version in its place */
export function exposeReact(panel: typeof Panel): (next: typeof Panel) => void {
  // React warns this way, and no page may throw what nobody catches.
  console.error = (...warning) => reportError(new Error(warning.join(' ')))
  const locks = createLocks({ store: indexedDBStore('react'), duration: 5_000 })
  const root = createRoot(document.querySelector('div') as HTMLElement)
  let given: UseLockOptions | undefined
  const render = (): void => root.render(given && h(StrictMode, null, h(LocksProvider, { value: locks }, h(panel, { options: given }))))
  const show = (options: UseLockOptions | undefined): void => {
    given = options
    render()
  }
  globalThis.react = {
    mount: show,
    unmount: () => show(undefined),
    shows: async (what, value) => Number((await appears(`button[data-${what}="${value}"]`)).dataset.token ?? 0),
    click: () => document.querySelector('button')?.click(),
    async counts() {
      const { held, pending } = await locks.query()
      return { held: held.length, pending: pending.length }
    },
  }
  return (next) => {
    panel = next
    render()
  }
}

/** Resolves with an element as soon as there is one. */
const appears = (selector: string): Promise<HTMLElement> =>
  new Promise((resolve) => {
    const look = (): void => {
      const found = document.querySelector<HTMLElement>(selector)
      if (!found) return
      observer.disconnect()
      resolve(found)
    }
    const observer = new MutationObserver(look)
    observer.observe(document, { subtree: true, childList: true, attributes: true })
    look()
  })
