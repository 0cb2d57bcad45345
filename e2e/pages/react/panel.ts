import { createElement, type ReactNode } from 'react'
import { useLeader, useLock } from 'storelock/react'
import type { PanelProps } from '../frameworks/expose.ts'

/** A hot reload changes this number. */
const version = 1

/** Shows the state of its lock, and the version of this module. */
export function Panel({ name, options }: PanelProps): ReactNode {
  const { state, token, retry } = useLock(name, options)
  const leads = useLeader('leader', { enabled: name === 'led' })
  const data = { 'data-state': state, 'data-token': token, 'data-leads': leads, 'data-version': version }
  return createElement('button', { type: 'button', onClick: retry, ...data }, state)
}
