import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { bundle, checkoutAt, root, sourcesOf } from '../bundle.ts'
import { endWhenTold } from '../cleanup.ts'
import { inChromium, origin } from '../indexeddb/chromium.ts'
import { progressOf } from '../progress.ts'
import { type Measured, median } from '../rounds.ts'
import type { Tree } from './run.ts'

const help = `Measures the short paths of this checkout beside those of another, in alternating rounds: has a change made them slower?
Each run is a new process or page, since a compiler may choose otherwise in each. This checkout is measured twice in each;
what its two medians differ by is noise. Takes about three minutes.

npm run bench:against -- [options] DIR
  DIR           another checkout: git worktree add ../before main~10
  --runs N      7 unless told otherwise
  --rounds N    of each figure in each run; 40 unless told otherwise
  --only WHERE  node or chromium
  --help`

const bundles = (entry: string, platform: 'node' | 'browser', other: string): Promise<string[]> =>
  Promise.all([root, other, root].map((tree) => bundle(entry, platform, [sourcesOf(tree)])))

type Compared = Record<string, Measured<Tree>>

/** Prepares the runs on Node. */
async function onNode(other: string, rounds: number): Promise<() => Promise<Compared>> {
  const folder = join(root, 'out', 'against')
  mkdirSync(folder, { recursive: true })
  const write = (name: string, text: string): string => {
    const file = join(folder, name)
    writeFileSync(file, text)
    return file
  }
  const files = (await bundles('bench/against/node.ts', 'node', other)).map((text, index) => write(`${index}.js`, text))
  const program = write('child.js', await bundle('bench/against/child.ts', 'node'))
  return async () => {
    const child = fork(program, [String(rounds), ...files], { execArgv: [] })
    let measured: Compared | undefined
    child.on('message', (message: Compared) => {
      measured = message
    })
    const [code] = await once(child, 'exit')
    if (code !== 0 || !measured) throw new Error(`the measures on Node ended with ${code}`)
    return measured
  }
}

/** Prepares the runs in Chromium. */
async function inPages(other: string, rounds: number): Promise<() => Promise<Compared>> {
  const texts = [...(await bundles('bench/against/page.ts', 'browser', other)), await bundle('bench/against/run.ts', 'browser')]
  return () =>
    inChromium(async (context) => {
      const page = await context.newPage()
      await page.goto(origin)
      for (const [index, content] of texts.entries()) {
        await page.addScriptTag({ type: 'module', content })
        await page.waitForFunction((loaded) => 'compare' in globalThis || (globalThis.trees?.length ?? 0) > loaded, index)
      }
      return page.evaluate((count) => globalThis.compare('locks', count), rounds)
    })
}

/** A line of the table: the medians of all runs. */
function line(figure: string, runs: readonly Compared[]): string[] {
  const all = runs.flatMap((run) => run[figure]?.medians ?? [])
  const us = (tree: Tree): string => `${Number(median(all.map((each) => each[tree])).toPrecision(3))} µs`
  const ratios = (tree: Tree): number[] => all.map((each) => each.ours / each[tree])
  const noise = ratios('again')
  const cells = [median(ratios('theirs')), median(noise), Math.min(...noise), Math.max(...noise)].map((ratio) => ratio.toFixed(3))
  return [figure, us('ours'), us('theirs'), cells[0] ?? '', `${cells[1]} (${cells[2]} to ${cells[3]})`]
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      runs: { type: 'string', default: '7' },
      rounds: { type: 'string', default: '40' },
      only: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return console.log(help)
  const [dir, ...more] = positionals
  if (dir === undefined || more.length) throw new Error('name one checkout to compare with: see --help')
  const count = (option: 'runs' | 'rounds'): number => {
    const number = Number(values[option])
    if (!Number.isInteger(number) || number < 1) throw new Error(`--${option} is a whole number of at least 1, not ${values[option]}`)
    return number
  }
  const [runs, rounds] = [count('runs'), count('rounds')]
  if (values.only !== undefined && values.only !== 'node' && values.only !== 'chromium')
    throw new Error(`--only is node or chromium, not ${values.only}`)
  const other = checkoutAt(dir)

  const table = new Table({ head: ['figure', 'here', 'there', 'ratio', 'noise: here ÷ here again'], style: { head: [], border: [] } })
  const places = [...(values.only === 'chromium' ? [] : [onNode]), ...(values.only === 'node' ? [] : [inPages])]
  for (const prepare of places) {
    const run = await prepare(other, rounds)
    const progress = progressOf(prepare === onNode ? 'on Node' : 'in Chromium')
    const done: Compared[] = []
    while (done.length < runs) {
      done.push(await run())
      progress(done.length / runs)
    }
    for (const figure of Object.keys(done[0] ?? {})) table.push(line(figure, done))
  }
  console.log(String(table))
}

endWhenTold()
await main().catch((error) => {
  console.error(`bench: ${error instanceof Error ? error.message : error}`)
  process.exitCode = 1
})
