import { modes } from '../model/counters.ts'
import type { Order, Report } from '../model/reports.ts'
import { createBoard } from './board.ts'
import { connectControls } from './controls.ts'
import { countersIn, openDatabase, storeIn } from './counters.ts'
import { clearIfAlone, joinAsTab, startWorkers } from './crew.ts'
import { everyone, openRadio } from './radio.ts'

declare global {
  /** What the browser's driver calls. */
  var demo: {
    order(to: string, order: Order): void
    /** Shows a report from outside, such as from processes, under the title of their group. */
    hear(report: Report, group?: string): void
    tallies(): ReturnType<ReturnType<typeof countersIn>['all']>
  }
  /** Gets all reports of workers. */
  var tellDriver: ((report: Report) => void) | undefined
}

const own = 'tabs and workers, with IndexedDB'

export async function openPage(): Promise<void> {
  const settings = new URLSearchParams(location.search)
  let running = !settings.has('paused')
  const board = createBoard(own)
  const radio = openRadio((message) => {
    if (message.type !== 'report') return
    const { report } = message
    if (report.type === 'here') running = report.running
    board.hear(report, own)
    globalThis.tellDriver?.(report)
  })

  const db = await openDatabase()
  await clearIfAlone(() => db.clear('counters'))
  const counters = countersIn(db, storeIn(db))
  const tallies = await counters.all()
  board.start(modes.map((mode) => [mode, tallies[mode]]))

  const order = (to: string, what: Order) => radio.send({ type: 'order', to, order: what })
  connectControls(board, {
    order,
    crash: (to) => radio.send({ type: 'crash', to }),
    toggle: () => order(everyone, running ? 'pause' : 'start'),
  })
  globalThis.demo = { order, hear: (report, group = own) => board.hear(report, group), tallies: () => counters.all() }

  radio.send({ type: 'who' })
  const start = () => ({ running, brisk: settings.has('brisk') })
  const crew = settings.has('tab') ? await joinAsTab(start()) : await startWorkers(Number(settings.get('workers') ?? 3), start)
  board.welcome(crew.names)
}
