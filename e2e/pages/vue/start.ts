import type { Locks } from 'storelock'
import { locksKey } from 'storelock/vue'
import { createApp, h, shallowRef } from 'vue'
import type { Draw, PanelProps } from '../frameworks/expose.ts'
import type { Panel } from './panel.ts'

export function start(target: HTMLElement, locks: Locks): Draw<typeof Panel> {
  const shown = shallowRef<{ panel: typeof Panel; props: PanelProps | undefined }>()
  const app = createApp(() => shown.value?.props && h(shown.value.panel, shown.value.props))
  app.provide(locksKey, locks)
  app.mount(target)
  return (panel, props) => {
    shown.value = { panel, props }
  }
}
