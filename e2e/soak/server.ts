// The program that `main.ts` starts: a lock server over a SQLite file, which reports its figures when asked.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { serve } from '../../src/server/index.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { clients, type Figures } from './shared.ts'

const delay = monitorEventLoopDelay({ resolution: 1 })
delay.enable()
const { url } = await serve(sqliteStore(process.argv[2] as string), { clients, log: { entries: 50_000 } })

process.on('message', async (collected: boolean) => {
  // A garbage collection stops the whole process, so most reports do without. It ends up in `longestTurn` after another turn.
  if (collected) {
    global.gc?.()
    await sleep(5)
  }
  const { rss, heapUsed } = process.memoryUsage()
  process.send?.({ rss, heapUsed, longestTurn: delay.max / 1e6 } satisfies Figures)
  delay.reset()
})
process.on('disconnect', () => process.exit())
process.send?.(url)
