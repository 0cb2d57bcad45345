import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { root } from './bundle.ts'
import { updateChoosing } from './choosing.ts'
import { endWhenTold } from './cleanup.ts'
import { measures as cli } from './cli.ts'
import { excerptOf } from './excerpt.ts'
import type { Curve, Figure, Measure } from './figure.ts'
import { inPlainNode } from './in-plain-node.ts'
import { measures as pages } from './indexeddb/acquire.ts'
import { measures as hidden } from './indexeddb/hidden.ts'
import { measures as tabs } from './indexeddb/tabs.ts'
import { measures as workers } from './indexeddb/worker.ts'
import { measures as onNode } from './on-node.ts'
import { updatePage } from './pages.ts'
import { drawPlots } from './plots.ts'
import { progressOf } from './progress.ts'
import { machine, missed, toJson, toMarkdown, toTable } from './report.ts'
import { measures as onServer } from './server/on-node.ts'
import { measures as size } from './size.ts'

/** Options that measures read. */
const choices = { hiddenFor: 30 }

const inChromium: Record<string, Measure> = { ...pages, ...tabs, ...workers, ...hidden(choices) }

/** In the order of the table. */
const measures: Record<string, Measure> = {
  ...inPlainNode('bench/child.ts', Object.keys(onNode)),
  ...inPlainNode('bench/server/child.ts', Object.keys(onServer)),
  ...inChromium,
  ...cli,
  ...size,
}

const help = `Measures storelock beside its peers, in alternating rounds of one run, and prints medians. All takes about ten minutes.

npm run bench -- [options]
  --json FILE   also write the figures there
  --only NAME   only the figures whose names start so; may be repeated
  --hidden S    hide tabs for so many seconds; ${choices.hiddenFor} unless told otherwise
  --plots DIR   also draw plots there, as SVG
  --readme      put the table into docs/benchmarks.md, the plots into docs/plots, a few figures into the README, and what stores cost into
                docs/choosing-a-store.md and docs/scale.md
  --help

Some peers need a server: redis-server, postgresql. It is started for the time of the run where this machine has it.
Figures:
  ${Object.keys(measures).join('\n  ')}`

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: 'string' },
      only: { type: 'string', multiple: true },
      hidden: { type: 'string' },
      plots: { type: 'string' },
      readme: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return console.log(help)
  const { only, json, readme } = values
  const names = Object.keys(measures).filter((name) => !only || only.some((start) => name.startsWith(start)))
  if (!names.length) throw new Error(`no figure's name starts with ${only?.join(' or ')}: there are ${Object.keys(measures).join(', ')}`)
  if (readme && only) throw new Error('--readme wants all figures, so it does not go with --only')
  if (readme && values.plots) throw new Error('--readme has a folder of its own for the plots, so it does not go with --plots')
  if (values.hidden !== undefined) choices.hiddenFor = Number(values.hidden)
  if (!(choices.hiddenFor > 0)) throw new Error(`--hidden is a number of seconds, not ${values.hidden}`)
  const plots = readme ? join(root, 'docs', 'plots') : values.plots
  // Fails now, if it must, and not after ten minutes.
  for (const folder of [plots, json && dirname(json)]) if (folder) mkdirSync(folder, { recursive: true })

  const place = await machine(names.some((name) => name in inChromium))
  console.log(`${place}\n`)
  const figures: Figure[] = []
  const curves: Curve[] = []
  for (const name of names) {
    try {
      figures.push(...((await measures[name]?.(progressOf(name), (curve) => curves.push(curve))) ?? []))
    } catch (error) {
      // The other figures, which took minutes to measure, are kept.
      fail(`${name}: ${error instanceof Error ? error.message : error}`)
    }
  }
  console.log(`${toTable(figures)}\n\n${missed(figures)}`)
  if (json) writeFileSync(json, toJson(figures, curves, place))
  if (readme && process.exitCode) return console.error('The pages are left as they are, since not all could be measured.')
  const drawn = plots ? await drawPlots(curves, plots, place) : []
  if (readme) {
    const images = drawn.map(({ path, title }) => ({ title, path: relative(join(root, 'docs'), path) }))
    const markdown = toMarkdown(figures, images, place)
    updatePage('docs/benchmarks.md', 'bench', markdown)
    updatePage('README.md', 'bench', excerptOf(markdown))
    updateChoosing(figures, place)
  }
}

function fail(message: string): void {
  console.error(message)
  process.exitCode = 1
}

endWhenTold()
await main().catch((error) => fail(error instanceof Error ? error.message : String(error)))
