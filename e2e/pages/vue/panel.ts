import { useLeader, useLock } from 'storelock/vue'
import { defineComponent, h } from 'vue'
import type { PanelProps } from '../frameworks/expose.ts'

/** A hot reload changes this number. */
const version = 1

/** Shows the state of its lock, and the version of this module. */
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
