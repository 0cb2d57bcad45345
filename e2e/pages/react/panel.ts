import { createElement, type ReactNode } from 'react'
import { type UseLockOptions, useLock } from 'storelock/react'

/** Differs in each version of this module that a hot reload brings. */
const version = 1

/** Shows what has become of its lock, and which version of the module shows it. */
export function Panel({ options }: { readonly options: UseLockOptions }): ReactNode {
  const { state, token, retry } = useLock('l', options)
  return createElement('button', { type: 'button', onClick: retry, 'data-state': state, 'data-token': token, 'data-version': version }, state)
}
