import type { Mode, Tally } from './counters.ts'
import type { Place, Report } from './reports.ts'

/** What a worker did for a while: it waited for the lock, held it, held it without a sign of life, or still hung after it had lost it. */
export interface Span {
  readonly kind: 'waits' | 'holds' | 'silent' | 'away'
  readonly from: number
  /** `undefined` while it lasts. */
  to?: number
}

/** An event at one moment that a picture shows. */
export interface Mark {
  readonly kind: 'death' | 'late' | 'refused' | 'stolen' | 'clock'
  readonly at: number
}

export interface Lane {
  readonly name: string
  place: Place
  running: boolean
  gone: boolean
  heard: number
  readonly spans: Span[]
  readonly marks: Mark[]
}

/** A take-over: the lock went from a silent or robbed holder to another worker. */
export interface TakeOver {
  readonly from: string
  readonly to: string
  /** When the holder fell silent, and when the other worker had the lock. */
  readonly since: number
  readonly at: number
  readonly why: 'death' | 'silence' | 'steal'
}

/** What a report means for the lock. Captions are made from it. */
export interface Step {
  readonly report: Report
  /** The holder just before. */
  readonly holder: string | undefined
  readonly takeOver?: TakeOver
}

/** The history of one group of workers, which share a store, as it can be shown. */
export class History {
  readonly lanes = new Map<string, Lane>()
  readonly takeOvers: TakeOver[] = []
  readonly tallies = new Map<Mode, Tally>()
  holder: string | undefined
  /** When the holder fell silent, and how. */
  #silent: { readonly since: number; readonly why: 'death' | 'silence' } | undefined
  #thief: string | undefined
  /** The worker from which the lock was stolen, if it has reported this before the thief has reported its grant. */
  #robbed: string | undefined
  /** The last grant while another worker still seemed to hold the lock. The report of its release or death may arrive later. */
  #passed: { readonly from: string; readonly to: string; readonly at: number } | undefined

  /** The waiting workers. The one that has waited longest comes first. */
  get waiting(): string[] {
    const since = (lane: Lane) => lane.spans.at(-1)?.from ?? 0
    const waits = [...this.lanes.values()].filter(({ gone, spans }) => !gone && isOpen(spans.at(-1), 'waits'))
    return waits.sort((a, b) => since(a) - since(b)).map(({ name }) => name)
  }

  add(report: Report): Step {
    const { worker, at } = report
    const lane = this.#lane(worker, at)
    const holder = this.holder
    lane.heard = at
    switch (report.type) {
      case 'here':
        lane.place = report.place
        lane.running = report.running
        // The worker may have seemed gone, or have started again under the same name.
        lane.gone = false
        break
      case 'waits':
        lane.gone = false
        open(lane, 'waits', at)
        break
      case 'steals':
        this.#thief = worker
        break
      case 'holds':
        return this.#granted(lane, at, report)
      case 'wrote':
        return this.#wrote(lane, report)
      case 'refused':
        lane.marks.push({ kind: 'refused', at })
        this.#ended(lane, at)
        break
      case 'lost':
        if (report.how === 'stolen' && holder === worker) this.#robbed = worker
        this.#ended(lane, at)
        break
      case 'released':
        this.#ended(lane, at)
        break
      case 'rests':
        if (isOpen(lane.spans.at(-1), 'waits')) shut(lane, at)
        break
      case 'hangs':
        if (holder === worker) this.#silent = { since: at, why: 'silence' }
        open(lane, 'silent', at)
        break
      case 'woke':
        if (holder === worker) this.#silent = undefined
        if (report.held) open(lane, 'holds', at)
        else shut(lane, at)
        break
      case 'clock':
        lane.marks.push({ kind: 'clock', at })
        break
      case 'crashed':
        return this.#died(lane, report)
      case 'left':
        lane.gone = true
        this.#ended(lane, at)
    }
    return { report, holder }
  }

  /** Drops everything that ended before a moment, and workers that have been gone since. */
  forget(before: number): void {
    for (const [name, lane] of this.lanes) {
      const first = lane.spans.findIndex(({ to }) => to === undefined || to > before)
      lane.spans.splice(0, first < 0 ? lane.spans.length : first)
      lane.marks.splice(0, lane.marks.filter(({ at }) => at < before).length)
      if (lane.gone && lane.heard < before) this.lanes.delete(name)
    }
    this.takeOvers.splice(0, this.takeOvers.filter(({ at }) => at < before).length)
  }

  #lane(name: string, at: number): Lane {
    const found = this.lanes.get(name)
    if (found) return found
    const lane: Lane = { name, place: 'worker', running: false, gone: false, heard: at, spans: [], marks: [] }
    this.lanes.set(name, lane)
    return lane
  }

  #granted(lane: Lane, at: number, report: Report): Step {
    const stolen = this.#thief === lane.name
    const holder = this.holder ?? (stolen ? this.#robbed : undefined)
    const before = holder === undefined ? undefined : this.lanes.get(holder)
    open(lane, 'holds', at)
    this.holder = lane.name
    this.#robbed = undefined
    if (stolen) this.#thief = undefined
    const silent = this.#silent
    this.#silent = undefined
    // A worker that has released the lock reports this before the next worker reports its grant.
    if (before === undefined || before === lane) return { report, holder }
    if (!stolen && !silent) {
      this.#passed = { from: before.name, to: lane.name, at }
      return { report, holder }
    }
    if (stolen) before.marks.push({ kind: 'stolen', at })
    if (silent?.why === 'silence') open(before, 'away', at)
    else shut(before, at)
    const takeOver: TakeOver = {
      from: before.name,
      to: lane.name,
      since: silent?.since ?? at,
      at,
      why: stolen ? 'steal' : (silent?.why ?? 'silence'),
    }
    this.takeOvers.push(takeOver)
    return { report, holder, takeOver }
  }

  #died(lane: Lane, report: Report): Step {
    const { holder } = this
    const { at } = report
    lane.gone = true
    lane.marks.push({ kind: 'death', at })
    const passed = this.#passed?.from === lane.name ? this.#passed : undefined
    this.#passed = undefined
    if (passed) {
      shut(lane, at)
      const takeOver: TakeOver = { from: lane.name, to: passed.to, since: at, at: Math.max(at, passed.at), why: 'death' }
      this.takeOvers.push(takeOver)
      return { report, holder: lane.name, takeOver }
    }
    if (holder === lane.name) this.#silent = { since: at, why: 'death' }
    if (holder === lane.name) open(lane, 'silent', at)
    else shut(lane, at)
    return { report, holder }
  }

  #wrote(lane: Lane, report: Report & { type: 'wrote' }): Step {
    const { mode, tally, late, at } = report
    const known = this.tallies.get(mode)
    // Reports of different workers may arrive out of order.
    if (!known || tally.made > known.made) this.tallies.set(mode, tally)
    if (late) lane.marks.push({ kind: 'late', at })
    return { report, holder: this.holder }
  }

  #ended(lane: Lane, at: number): void {
    shut(lane, at)
    if (this.#passed?.from === lane.name) this.#passed = undefined
    if (this.holder !== lane.name) return
    this.holder = undefined
    this.#silent = undefined
  }
}

const isOpen = (span: Span | undefined, kind: Span['kind']): boolean => span?.to === undefined && span?.kind === kind

function shut({ spans }: Lane, at: number): void {
  const last = spans.at(-1)
  if (last && last.to === undefined) last.to = at
}

function open(lane: Lane, kind: Span['kind'], at: number): void {
  shut(lane, at)
  lane.spans.push({ kind, from: at })
}
