import { createElement, type ReactNode } from 'react'
import { useLeader, useLock } from 'storelock/react'
import type { PanelProps } from '../frameworks/expose.ts'

/** Differs in each version of this module that a hot reload brings. */
const version = 1

/** Shows what has become of its lock, and which version of the module shows it. */
export function Panel({ name, options }: PanelProps): ReactNode {
  const { state, token, retry } = useLock(name, options)
  const leads = useLeader('leader', { enabled: name === 'led' })
  const data = { 'data-state': state, 'data-token': token, 'data-leads': leads, 'data-version': version }
  return createElement('button', { type: 'button', onClick: retry, ...data }, state)
}
