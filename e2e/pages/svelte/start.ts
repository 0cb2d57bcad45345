import type { Locks } from 'storelock'
import { type Component, mount } from 'svelte'
import { writable } from 'svelte/store'
import type { Draw, PanelProps } from '../frameworks/expose.ts'
import App from './App.svelte'

export function start(target: HTMLElement, locks: Locks): Draw<Component<PanelProps>> {
  const shown = writable<object | undefined>()
  mount(App, { target, props: { locks, shown } })
  return (panel, props) => shown.set(props && { panel, props })
}
