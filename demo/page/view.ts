import { colourOf } from '../colours.ts'
import type { Entry } from '../ledger.ts'
import type { Report, Sight } from '../messages.ts'
import { lease } from '../settings.ts'

let self = ''

export function element(id: string): HTMLElement {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`the page has no #${id}`)
  return found
}

export function title(name: string): void {
  self = name
  document.title = `${name} · storelock demo`
  element('name').textContent = name
  tint(element('own-dot'), name)
}

/** Shows what a tab, this or any other, has told. */
export function show(told: Report): void {
  switch (told.type) {
    case 'sight':
      showSight(told.sight)
      break
    case 'waiting':
      state('waits', 'waits')
      break
    case 'granted':
      state('holds', 'holds the lock')
      if (told.kept) event(`has the lock, token ${told.token}, and keeps it`)
      break
    case 'wrote':
      state('idle', 'rests')
      wrote(told.value)
      break
    case 'lost':
      state('lost', 'lost the lock')
      event(`did not write: ${told.message}`, true)
      break
    case 'woke':
      event(`stood still, and is told at once: isHeld() ${told.held}, signal ${told.aborted ? 'aborted' : 'not aborted'}`, true)
      break
    case 'take-over':
      event(`${told.by} took over from ${told.from}, token ${told.token}`, true)
      break
    case 'failed':
      event(told.message, true)
      break
    case 'done':
      state('idle', 'looks on')
  }
}

function showSight({ holder, waiting }: Sight): void {
  element('holder').textContent = holder?.writer ?? 'nobody'
  element('token').textContent = holder === undefined ? '–' : String(holder.token)
  const left = holder === undefined ? 0 : holder.expiresAt - Date.now()
  element('heard').textContent = holder === undefined ? '–' : `${(Math.max(0, lease - left) / 1_000).toFixed(1)} s ago`
  element('heard').dataset.late = String(holder !== undefined && left < lease / 2)
  element('life').style.width = `${Math.max(0, Math.min(1, left / lease)) * 100}%`
  tint(element('holder-dot'), holder?.writer)
  tint(element('life'), holder?.writer)
  element('waiting').replaceChildren(...(waiting.length === 0 ? [item('nobody', 'none')] : waiting.map(waiter)))
}

function waiter(name: string): HTMLElement {
  const dot = document.createElement('span')
  dot.className = 'dot'
  tint(dot, name)
  const entry = item(name === self ? `${name}, this one` : name)
  entry.prepend(dot)
  return entry
}

/** The last writes, newest first. */
export function showLedger(writes: readonly Entry[]): void {
  element('writes').textContent = String(writes[0]?.value ?? 0)
  const chips = writes.map(({ value, writer }) => {
    const chip = item(String(value))
    chip.title = writer
    tint(chip, writer)
    return chip
  })
  element('ledger').replaceChildren(...chips)
}

function state(what: string, words: string): void {
  element('state').dataset.state = what
  element('state').textContent = words
}

/** One line for all turns in a row, so that they do not push away what matters. */
function wrote(value: number): void {
  const newest = element('events').firstElementChild
  const before = newest?.hasAttribute('data-turns') ? Number(newest.getAttribute('data-turns')) : 0
  if (before > 0) newest?.remove()
  event(before === 0 ? `made one write: ${value}` : `made ${before + 1} writes in turn, the last one ${value}`)
  element('events').firstElementChild?.setAttribute('data-turns', String(before + 1))
}

function event(text: string, loud = false): void {
  const time = document.createElement('time')
  time.textContent = new Date().toTimeString().slice(0, 8)
  const words = document.createElement('span')
  words.textContent = text
  if (loud) words.className = 'loud'
  const entry = item('')
  entry.append(time, words)
  const events = element('events')
  events.prepend(entry)
  while (events.children.length > 100) events.lastChild?.remove()
}

function item(text: string, name = ''): HTMLElement {
  const entry = document.createElement('li')
  entry.textContent = text
  entry.className = name
  return entry
}

function tint(target: HTMLElement, writer: string | undefined): void {
  if (writer === undefined) target.style.removeProperty('--hue')
  else target.style.setProperty('--hue', colourOf(writer))
}
