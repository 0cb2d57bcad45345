// What `main.ts` starts: a lock server over a SQLite file, which tells its figures when it is asked.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { serve } from '../../src/server/index.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { clients, type Figures } from './shared.ts'

const delay = monitorEventLoopDelay({ resolution: 1 })
delay.enable()
const { url } = await serve(sqliteStore(process.argv[2] as string), { clients, log: { entries: 50_000 } })

process.on('message', (collected: boolean) => {
  // A collection stops everybody, so most looks do without.
  if (collected) global.gc?.()
  const { rss, heapUsed } = process.memoryUsage()
  process.send?.({ rss, heapUsed, longestTurn: delay.max / 1e6 } satisfies Figures)
  delay.reset()
})
process.on('disconnect', () => process.exit())
process.send?.(url)
