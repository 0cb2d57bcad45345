import { createLocks, type Locks } from 'storelock'
import type { UseLockOptions } from 'storelock/react'
import { indexedDBStore } from 'storelock/stores/indexeddb'

/** What tests call on the page's only component, as the global `panel`. */
interface Exposed {
  /** The version of the framework. */
  readonly version: string
  /** Mounts the component, or changes its properties if it is mounted already. */
  mount(options: UseLockOptions, name?: string): void
  unmount(): void
  /** Waits until the panel shows this. @returns the token that it shows, or 0 */
  shows(what: 'state' | 'version' | 'leads', value: string | number): Promise<number>
  click(): void
  /** The number of holders and of waiters. */
  counts(): Promise<{ readonly held: number; readonly pending: number }>
  /** The names of all held locks. */
  held(): Promise<string[]>
}

declare global {
  var panel: Exposed
  /** The versions of Svelte that the page has. */
  var __svelte: { readonly v: ReadonlySet<string> }
}

export interface PanelProps {
  readonly name: string
  readonly options: UseLockOptions
}

/** Renders a component in the page's `div` with these properties, or removes it. */
export type Draw<Component> = (component: Component, props: PanelProps | undefined) => void

/** Lets tests mount a component. @returns a function that replaces it by another version */
export function exposePanel<Component>(
  version: string,
  component: Component,
  start: (target: HTMLElement, locks: Locks) => Draw<Component>,
): (next: Component) => void {
  // Frameworks warn on the console. Reported as errors, these warnings fail the test.
  for (const level of ['error', 'warn'] as const) console[level] = (...warning) => reportError(new Error(warning.join(' ')))
  const locks = createLocks({ store: indexedDBStore('frameworks'), duration: 5_000, onWarning() {} })
  const draw = start(document.querySelector('div') as HTMLElement, locks)
  let props: PanelProps | undefined
  const show = (next: PanelProps | undefined): void => {
    props = next
    draw(component, props)
  }
  globalThis.panel = {
    version,
    mount: (options, name = 'l') => show({ name, options }),
    unmount: () => show(undefined),
    shows: async (what, value) => Number((await appears(`button[data-${what}="${value}"]`)).dataset.token ?? 0),
    click: () => document.querySelector('button')?.click(),
    async counts() {
      const { held, pending } = await locks.query()
      return { held: held.length, pending: pending.length }
    },
    held: async () => (await locks.query()).held.map(({ name }) => name),
  }
  return (next) => {
    component = next
    show(props)
  }
}

/** Resolves with the first element that matches, once there is one. */
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
