import { type Caption, captionOf, promises } from '../model/captions.ts'
import { lostOf, type Mode, modes, type Tally } from '../model/counters.ts'
import { History, type Lane } from '../model/history.ts'
import type { Report } from '../model/reports.ts'
import { timeline } from '../model/timeline.ts'
import { explained } from './code.ts'
import { element, item, make } from './elements.ts'
import { showLegend } from './legend.ts'

/** How long a worker may be silent before it counts as gone, in ms. */
const patience = 15_000
/** How long past events are kept, in ms. */
const memory = 60_000

/** The part of the page that shows the workers and counters. */
export interface Board {
  hear(report: Report, group: string): void
  /** Shows the initial values of the counters. */
  start(tallies: readonly (readonly [Mode, Tally])[]): void
  welcome(names: readonly string[]): void
  /** The present workers of this browser, in the order of their numbers. */
  lanes(): Lane[]
  holder(): string | undefined
  waiting(): string[]
  onChange(listener: () => void): void
}

/** @param own the title of the group whose counters are shown */
export function createBoard(own: string): Board {
  const groups = new Map([[own, new History()]])
  const ours = groups.get(own) as History
  const listeners: (() => void)[] = []
  showModes()
  showLegend()
  explain('fenced')

  function hear(report: Report, group: string): void {
    const history = groups.get(group) ?? new History()
    groups.set(group, history)
    const step = history.add(report)
    const caption = captionOf(step)
    if (caption) say(caption)
    if (report.type === 'wrote' && history === ours) showTally(report.mode, ours.tallies.get(report.mode) ?? report.tally)
    if (report.type === 'refused' && history === ours) showRefused()
    for (const listener of listeners) listener()
  }

  function draw(): void {
    const now = performance.timeOrigin + performance.now()
    for (const history of groups.values()) {
      for (const lane of history.lanes.values()) if (now - lane.heard > patience && !isSilent(lane)) lane.gone = true
      history.forget(now - memory)
    }
    const svg = element('timeline')
    const width = svg.parentElement?.clientWidth ?? 0
    const inner = width - 2 * Number.parseFloat(getComputedStyle(svg.parentElement as Element).paddingLeft)
    const frame = { from: now - (inner < 500 ? 10_000 : 20_000), to: now, width: inner, live: true }
    const { body, height } = timeline(
      [...groups].map(([title, history]) => ({ title, history })),
      frame,
    )
    svg.setAttribute('viewBox', `0 0 ${inner} ${height}`)
    svg.setAttribute('height', String(height))
    element('lanes').innerHTML = body
    element('holder').textContent = [...groups.values()].map(({ holder = 'nobody' }) => holder).join(', ')
  }
  setInterval(draw, matchMedia('(prefers-reduced-motion: reduce)').matches ? 1_000 : 100)

  return {
    hear,
    start(tallies) {
      for (const [mode, tally] of tallies) {
        ours.tallies.set(mode, tally)
        showTally(mode, tally)
      }
    },
    welcome(names) {
      const [first = ''] = names
      element('here').textContent = names.length > 1 ? '' : `· this is ${first}`
      document.title = names.length > 1 ? 'storelock demo' : `${first} · storelock demo`
    },
    lanes: () => [...ours.lanes.values()].filter(({ gone }) => !gone).sort((a, b) => numberOf(a.name) - numberOf(b.name)),
    holder: () => ours.holder,
    waiting: () => ours.waiting,
    onChange: (listener) => listeners.push(listener),
  }
}

const isSilent = ({ spans }: Lane): boolean => ['silent', 'away'].includes(spans.at(-1)?.kind ?? '') && spans.at(-1)?.to === undefined

const numberOf = (name: string): number => Number(/\d+/.exec(name)?.[0] ?? 0)

/** Shows a caption, and moves the one before it to the list. */
function say({ text, shows, tone }: Caption): void {
  const caption = element('caption')
  if (caption.dataset.said) {
    const before = item(caption.textContent ?? '')
    before.dataset.tone = caption.dataset.tone ?? ''
    element('captions').prepend(before)
    while (element('captions').children.length > 12) element('captions').lastChild?.remove()
  }
  caption.dataset.said = 'true'
  caption.dataset.tone = tone ?? ''
  caption.textContent = text
  element('promise').textContent = shows ? `Promise: ${promises[shows]}` : ''
}

/** Shows a counter for each protection, and the code of the chosen one. */
function showModes(): void {
  for (const mode of modes) {
    const radio = make('input', { type: 'radio', name: 'mode', value: mode, id: `mode-${mode}` })
    if (mode === 'fenced') radio.setAttribute('checked', '')
    radio.addEventListener('change', () => explain(mode))
    const tile = make('label', { class: 'tile', for: `mode-${mode}`, id: `tile-${mode}` })
    const lost = make('span', { class: 'lost' }, make('b', { id: `lost-${mode}` }, '0'), make('span', { id: `word-${mode}` }, ' writes lost'))
    const shown = make('span', { class: 'shown', id: `shown-${mode}` }, '0 of 0 writes')
    tile.append(radio, make('span', { class: 'title' }, explained[mode].title), lost, shown)
    element('modes').append(tile)
  }
}

function showTally(mode: Mode, tally: Tally): void {
  const lost = lostOf(tally)
  element(`tile-${mode}`).dataset.lost = String(lost > 0)
  element(`lost-${mode}`).textContent = String(lost)
  element(`word-${mode}`).textContent = lost === 1 ? ' write lost' : ' writes lost'
  element(`shown-${mode}`).textContent = `counter at ${tally.value} after ${tally.made} writes`
}

let refused = 0

function showRefused(): void {
  refused += 1
  const tile = element('tile-fenced')
  const note = document.getElementById('refused') ?? tile.appendChild(make('span', { class: 'refused', id: 'refused' }))
  note.textContent = `${refused} late ${refused === 1 ? 'write' : 'writes'} refused`
}

function explain(mode: Mode): void {
  const { title, code, words } = explained[mode]
  element('code-title').textContent = `${title}, in code`
  element('lines').textContent = code
  element('words').textContent = words
}
