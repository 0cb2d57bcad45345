import { createLocks } from 'storelock'
import type { Place } from '../model/reports.ts'
import { createWriter } from '../model/writer.ts'
import { brisk, leisurely, maxBackoff } from '../settings.ts'
import { countersIn, openDatabase, storeIn } from './counters.ts'
import { everyone, openRadio } from './radio.ts'

declare global {
  /** Set by a browser's driver to stop this tab. Without it, the tab hangs by being busy for a while. */
  var demoStandsStill: (() => void) | undefined
}

/** How a worker takes part: at once or when told to, and how fast. */
export interface Start {
  readonly running: boolean
  readonly brisk: boolean
}

/** Lets this tab or thread take part, under a name. */
export async function takePart(name: string, place: Place, start: Start): Promise<void> {
  const pace = start.brisk ? brisk : leisurely
  const db = await openDatabase()
  const store = storeIn(db)
  const locks = createLocks({ store, label: name, duration: pace.duration, maxBackoff, onWarning: () => {} })
  const radio = openRadio((message) => {
    if (message.type === 'who') writer.hello()
    if (message.type === 'order' && (message.to === name || message.to === everyone)) writer.obey(message.order)
  })
  const writer = createWriter({
    ...{ name, place, locks, counters: countersIn(db, store), pace },
    standStill(say) {
      say(globalThis.demoStandsStill ? 'breakpoint' : 'busy')
      if (globalThis.demoStandsStill) return globalThis.demoStandsStill()
      const end = performance.now() + pace.hang
      while (performance.now() < end);
    },
    tell: (report) => radio.send({ type: 'report', report }),
  })
  writer.hello()
  setInterval(() => writer.hello(), 1_000)
  if (start.running) writer.obey('start')
}
