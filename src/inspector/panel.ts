import { cycleView, type Seen } from './cycle-view.ts'
import { button, el, say, Views } from './dom.ts'
import { type Actions, lockView } from './lock-view.ts'
import type { Sight } from './looks.ts'
import type { Row } from './rows.ts'
import type { Told } from './told.ts'
import { idOf } from './waits.ts'

export interface Handlers extends Actions {
  sweep?(): void
  pause(paused: boolean): void
}

export interface Panel {
  readonly node: HTMLElement
  show(sight: Sight): void
  tell(told: readonly Told[]): void
  /** Shows what was done, or what went wrong. */
  say(text: string, isBad?: boolean): void
}

/** The most locks, events and cycles shown. */
const most = { locks: 200, events: 100, cycles: 5 }

/** The panel's elements, and the functions that update them. */
export function makePanel({ sweep, pause, ...actions }: Handlers): Panel {
  const counts = el('span', { class: 'dim' })
  const status = el('p', { class: 'status', role: 'status' })
  const [list, more] = [el('ul', { 'aria-label': 'Locks' }), el('p', { class: 'dim' })]
  const cycleList = el('ul')
  const legend = 'Each waits for (dashed) a lock that the next one holds (solid). If one job both holds and waits in each of them, none can go on.'
  const moreCycles = el('p', { class: 'dim' })
  const cycles = el('div', { class: 'cycles' }, el('h2', {}, 'Cycle of waits'), el('p', {}, legend), cycleList, moreCycles)
  const events = el('ol', { class: 'events' })
  const filter = el('input', { type: 'search', placeholder: 'Filter by name', 'aria-label': 'Filter by name', autocomplete: 'off' })
  const pausing = button('Pause', () => {
    const paused = pausing.getAttribute('aria-pressed') !== 'true'
    pausing.setAttribute('aria-pressed', `${paused}`)
    pause(paused)
  })
  pausing.setAttribute('aria-pressed', 'false')
  const bar = el('div', { class: 'bar' }, filter, pausing, ...(sweep ? [button('Sweep…', sweep)] : []))
  const history = el('details', { open: '' }, el('summary', {}, 'Events, newest first'), events)
  const title = el('summary', {}, el('h2', {}, 'Locks'), ' ', counts)
  const node = el('details', { class: 'panel', open: '' }, title, bar, status, cycles, list, more, history)
  cycles.hidden = true

  const lockViews = new Views<Row>(
    list,
    ({ name }) => name,
    (row) => lockView(row, actions),
  )
  const cycleViews = new Views<Seen>(cycleList, ({ cycle }) => idOf(cycle), cycleView)
  const eventViews = new Views<Told>(
    events,
    ({ id }) => `${id}`,
    ({ at, text }) => ({ node: el('li', {}, el('time', { class: 'dim' }, new Date(at).toTimeString().slice(0, 8)), ` ${text}`), update: () => {} }),
  )
  let last: Sight | undefined
  let all: readonly Told[] = []

  const draw = (): void => {
    if (!last) return
    const { rows, snapshot } = last
    const found = [...rows.values()].filter(({ name }) => name.includes(filter.value))
    lockViews.show(found.slice(0, most.locks))
    const left = found.length - most.locks
    const nothing = rows.size ? 'No lock with such a name is held or waited for.' : 'No locks are held or waited for.'
    say(more, left > 0 ? `and ${left} more: filter by name` : found.length ? '' : nothing)
    say(counts, `${snapshot.held.length} held, ${snapshot.pending.length} waiting`)
    cycleViews.show(last.cycles.slice(0, most.cycles))
    const leftCycles = last.cycles.length - most.cycles
    say(moreCycles, leftCycles > 0 ? `and ${leftCycles} more` : '')
    cycles.hidden = !last.cycles.length
  }
  filter.addEventListener('input', draw)

  return {
    node,
    show(sight) {
      last = sight
      draw()
    },
    tell(told) {
      if (!told.length) return
      all = [...[...told].reverse(), ...all].slice(0, most.events)
      eventViews.show(all)
    },
    say(text, isBad = false) {
      say(status, text)
      status.classList.toggle('bad', isBad)
    },
  }
}
