// Measures a page that never reloads, after each simulated hour: `npx tsx e2e/tabs/day.ts --help`.
import { parseArgs } from 'node:util'
import { startEngine } from '../engines/index.ts'
import { useForHours } from './upkeep.ts'

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', default: false },
    hours: { type: 'string', default: '24' },
    names: { type: 'string', default: '20000' },
  },
})

if (values.help) {
  console.log(
    'npx tsx e2e/tabs/day.ts [--hours 24] [--names 20000]\n\nPrints what a page of Chromium keeps after each simulated hour in which it used its share of the names.',
  )
} else {
  const engine = await startEngine('chromium')
  try {
    const page = await engine.open(engine.page)
    let hour = 0
    await useForHours(page, Number(values.hours), Number(values.names), ({ heap, database, rows, listeners, connections }) => {
      const mb = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(2)} MB`
      console.log(`hour ${++hour}: heap ${mb(heap)}, database ${mb(database)}, rows ${rows}, listeners ${listeners}, connections ${connections}`)
    })
  } finally {
    await engine.close()
  }
}
