import { type Caption, captionOf } from '../model/captions.ts'
import { History, type Step } from '../model/history.ts'
import type { Report } from '../model/reports.ts'

export interface Said extends Caption {
  readonly at: number
}

/** All reports of one cast. */
export class Log {
  readonly history = new History()
  readonly captions: Said[] = []
  readonly failures: string[] = []
  refused = 0
  readonly #listeners = new Set<(step: Step) => void>()
  readonly #say: (caption: Said) => void

  constructor(say: (caption: Said) => void) {
    this.#say = say
  }

  add(report: Report): void {
    const step = this.history.add(report)
    const caption = captionOf(step)
    if (caption) this.say(caption, report.at)
    if (report.type === 'refused') this.refused += 1
    if (report.type === 'failed') this.failures.push(`${report.worker}: ${report.message}`)
    for (const listener of [...this.#listeners]) listener(step)
  }

  say(caption: Caption, at = performance.timeOrigin + performance.now()): void {
    this.captions.push({ ...caption, at })
    this.#say({ ...caption, at })
  }

  /** Resolves with the next step that passes. Rejects if there is none within `ms`. */
  next(what: string, passes: (step: Step) => boolean, ms = 20_000): Promise<Step> {
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer)
        this.#listeners.delete(listener)
      }
      const listener = (step: Step) => {
        if (!passes(step)) return
        end()
        resolve(step)
      }
      const timer = setTimeout(() => {
        end()
        reject(new Error(`${what}: nothing of it within ${ms / 1_000} s`))
      }, ms)
      this.#listeners.add(listener)
    })
  }

  /** The next report of a type, by one worker. */
  of(worker: string, type: Report['type']): Promise<Step> {
    return this.next(`${worker}: ${type}`, ({ report }) => report.worker === worker && report.type === type)
  }
}
