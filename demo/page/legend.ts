import { drawMark } from '../model/timeline.ts'
import { element, make } from './elements.ts'

/** The meanings of the signs in the timeline, each with its drawing. */
const signs: readonly (readonly [words: string, sign: string])[] = [
  ['waits', '<line class="tl-waits" x1="0" x2="26" y1="10" y2="10"/>'],
  ['has the lock', '<rect class="tl-holds" x="0" y="3" width="26" height="14" rx="3" fill="#2f6fed"/>'],
  ['has it, but is silent', '<rect class="tl-silent" x="0" y="3" width="26" height="14" rx="3" fill="url(#tl-hatch)"/>'],
  ['lost it, still hangs', '<line class="tl-away" x1="0" x2="26" y1="10" y2="10"/>'],
  ['crashed', drawMark({ kind: 'death' }, 10, 13)],
  ['next one took over', '<path class="tl-over" d="M13 1v17m-4-5l4 5l4-5"/>'],
  ['stolen from it', drawMark({ kind: 'stolen' }, 10, 13)],
  ['clock was set', drawMark({ kind: 'clock' }, 10, 13)],
  ['late write went through', drawMark({ kind: 'late' }, 11, 21)],
  ['late write refused', drawMark({ kind: 'refused' }, 10, 2)],
]

export function showLegend(): void {
  for (const [words, sign] of signs) {
    const entry = make('li', {}, words)
    entry.insertAdjacentHTML('afterbegin', `<svg class="tl" width="26" height="20" viewBox="0 0 26 20" aria-hidden="true">${sign}</svg>`)
    element('legend').append(entry)
  }
}
