import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { bundle, root } from './bundle.ts'
import type { Figure, Measure } from './figure.ts'
import { measures as indexeddb } from './indexeddb.ts'
import { machine, toJson, toMarkdown, toTable, updateReadme } from './report.ts'
import { measures as size } from './size.ts'
import { measures as tabs } from './tabs.ts'

/** In the order of the table. What runs on Node itself is timed in a process of its own, without tsx. */
const measures: Record<string, Measure> = {
  'sqlite.acquireRelease': inPlainNode('sqlite.acquireRelease'),
  'sqlite.heartbeat1000': inPlainNode('sqlite.heartbeat1000'),
  'sqlite.fencedWrite': inPlainNode('sqlite.fencedWrite'),
  'sqlite.handoff': inPlainNode('sqlite.handoff'),
  'sqlite.takeover': inPlainNode('sqlite.takeover'),
  'reentrant.acquire': inPlainNode('reentrant.acquire'),
  'linger.acquire': inPlainNode('linger.acquire'),
  ...indexeddb,
  ...tabs,
  ...size,
}

const help = `Measures storelock beside its peers, in alternating rounds of one run, and prints medians.

npm run bench -- [options]
  --json FILE   also write the figures there
  --only NAME   only the figures whose names start so; may be repeated
  --readme      put the table into the README
  --help

Figures: ${Object.keys(measures).join(', ')}`

function inPlainNode(name: string): Measure {
  return async (progress) => {
    const folder = join(root, 'out', 'bench')
    const file = join(folder, 'child.js')
    mkdirSync(folder, { recursive: true })
    writeFileSync(file, await bundle('bench/child.ts', 'node'))
    // Without tsx, which this process passes on by its flags.
    const child = fork(file, [name], { execArgv: [] })
    let figures: Figure[] | undefined
    child.on('message', (message: { done: number } | { figures: Figure[] }) => {
      if ('done' in message) progress(message.done)
      else figures = message.figures
    })
    const [code] = await once(child, 'exit')
    if (code !== 0 || !figures) throw new Error(`${name} ended with ${code}; to see it alone: node ${file} ${name}`)
    return figures
  }
}

/** One line that grows where there is a terminal, one line for each quarter elsewhere. */
function progressOf(name: string): (done: number) => void {
  let shown = 0
  return (done) => {
    const percent = process.stderr.isTTY ? Math.floor(done * 100) : Math.floor(done * 4) * 25
    if (percent === shown) return
    shown = percent
    const line = `${name} ${percent} %`
    process.stderr.write(process.stderr.isTTY ? `\r${line}${percent === 100 ? '\n' : ''}` : `${line}\n`)
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: 'string' },
      only: { type: 'string', multiple: true },
      readme: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return console.log(help)
  const { only, json, readme } = values
  const names = Object.keys(measures).filter((name) => !only || only.some((start) => name.startsWith(start)))
  if (!names.length) throw new Error(`no figure's name starts with ${only?.join(' or ')}: there are ${Object.keys(measures).join(', ')}`)
  if (readme && only) throw new Error('--readme wants all figures, so it does not go with --only')

  const place = await machine(names.some((name) => name in indexeddb || name in tabs))
  console.log(`${place}\n`)
  const figures: Figure[] = []
  for (const name of names) {
    try {
      figures.push(...((await measures[name]?.(progressOf(name))) ?? []))
    } catch (error) {
      // What the others took minutes to measure is not thrown away.
      fail(`${name}: ${error instanceof Error ? error.message : error}`)
    }
  }
  console.log(toTable(figures))
  if (json) writeFileSync(json, toJson(figures))
  if (readme && !process.exitCode) updateReadme(toMarkdown(figures, place))
}

function fail(message: string): void {
  console.error(message)
  process.exitCode = 1
}

await main().catch((error) => fail(error instanceof Error ? error.message : String(error)))
