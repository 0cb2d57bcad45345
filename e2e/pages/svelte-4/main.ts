import type { Locks } from 'storelock'
import { writable } from 'svelte/store'
import { type Draw, exposePanel } from '../frameworks/expose.ts'
import App from '../svelte/App.svelte'
import Panel from './Panel.svelte'

/** A component of Svelte 4, whose own types cannot be installed beside those of Svelte 5. */
type Component = new (options: { readonly target: HTMLElement; readonly props: object }) => unknown

function start(target: HTMLElement, locks: Locks): Draw<Component> {
  const shown = writable<object | undefined>()
  ;new (App as unknown as Component)({ target, props: { locks, shown } })
  return (panel, props) => shown.set(props && { panel, props })
}

exposePanel([...__svelte.v].join(), Panel as unknown as Component, start)
