import type { Order } from '../model/reports.ts'
import type { Board } from './board.ts'
import { element, make } from './elements.ts'

export interface Acts {
  order(to: string, order: Order): void
  crash(to: string): void
  toggle(): void
}

/** Which worker an order goes to if the user has not chosen one: the holder, or another. */
type Fit = 'holder' | 'other'

interface Button {
  readonly what: Order | 'crash'
  readonly words: string
  readonly fit: Fit
  readonly title: string
}

const buttons: readonly Button[] = [
  { what: 'hang', words: 'Hang 5 s', fit: 'holder', title: 'keeps its thread busy for five seconds, with the lock, just before its write' },
  { what: 'crash', words: 'Crash', fit: 'holder', title: 'ends it without a word; a worker starts again after five seconds' },
  { what: 'steal', words: 'Steal', fit: 'other', title: 'takes the lock from its holder, ahead of the queue' },
  { what: 'ask', words: 'Ask politely', fit: 'other', title: 'asks the holder to release, and waits' },
  { what: 'take', words: 'Take once', fit: 'other', title: 'takes the lock for one write, also while all are paused' },
  { what: 'hold', words: 'Hold', fit: 'holder', title: 'takes the lock and keeps it, until Release' },
  { what: 'release', words: 'Release', fit: 'holder', title: 'lets go of a lock that is kept' },
  { what: 'clock', words: 'Clock +1 h', fit: 'holder', title: 'sets its clock one hour ahead' },
]

const anyone = 'whoever fits'

export function connectControls(board: Board, { order, crash, toggle }: Acts): void {
  const who = element('who') as HTMLSelectElement
  for (const { what, words, fit, title } of buttons) {
    const button = make('button', { type: 'button', title, 'data-what': what }, words)
    button.addEventListener('click', () => {
      const to = who.value === anyone ? choose(board, fit) : who.value
      if (to === undefined) return
      if (what === 'crash') crash(to)
      else order(to, what)
    })
    element('orders').append(button)
  }
  element('pause').addEventListener('click', toggle)
  board.onChange(() => {
    const lanes = board.lanes()
    showNames(who, [anyone, ...lanes.map(({ name }) => name)])
    const running = lanes.some((lane) => lane.running)
    element('pause').textContent = running ? 'Pause all' : 'Start all'
    element('open').setAttribute('href', running ? '?tab' : '?tab&paused')
  })
}

function choose(board: Board, fit: Fit): string | undefined {
  const names = board.lanes().map(({ name }) => name)
  const holder = names.find((name) => name === board.holder())
  const others = names.filter((name) => name !== holder)
  const waiting = board.waiting().filter((name) => others.includes(name))
  return fit === 'holder' ? (holder ?? waiting[0] ?? names[0]) : (waiting.at(-1) ?? others[0] ?? holder)
}

/** Updates the list of names. Keeps the choice as long as that worker is there. */
function showNames(who: HTMLSelectElement, names: readonly string[]): void {
  if ([...who.options].map(({ value }) => value).join() === names.join()) return
  const chosen = names.includes(who.value) ? who.value : anyone
  who.replaceChildren(...names.map((name) => make('option', {}, name)))
  who.value = chosen
}
