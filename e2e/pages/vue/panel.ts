import { useLeader, useLock } from 'storelock/vue'
import { defineComponent, h } from 'vue'
import type { PanelProps } from '../frameworks/expose.ts'

/** Differs in each version of this module that a hot reload brings. */
const version = 1

/** Shows what has become of its lock, and which version of the module shows it. */
export const Panel = defineComponent(
  (props: PanelProps) => {
    const lock = useLock(
      () => props.name,
      () => props.options,
    )
    const leads = useLeader('leader', () => ({ enabled: props.name === 'led' }))
    return () => {
      const { state, token, retry } = lock.value
      const data = { 'data-state': state, 'data-token': token, 'data-leads': String(leads.value), 'data-version': version }
      return h('button', { type: 'button', onClick: retry, ...data }, state)
    }
  },
  { props: ['name', 'options'] },
)
