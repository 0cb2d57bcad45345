import { createElement as h, StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import type { Locks } from 'storelock'
import { LocksProvider } from 'storelock/react'
import type { Draw } from '../frameworks/expose.ts'
import type { Panel } from './panel.ts'

/** Renders panels in Strict Mode, which mounts each twice. */
export function start(target: HTMLElement, locks: Locks): Draw<typeof Panel> {
  const root = createRoot(target)
  return (panel, props) => root.render(props && h(StrictMode, null, h(LocksProvider, { value: locks }, h(panel, props))))
}
