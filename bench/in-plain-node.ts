import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bundle, root } from './bundle.ts'
import type { Curve, Figure, Measure } from './figure.ts'

const file = join(root, 'out', 'bench', 'child.js')
let built: Promise<void> | undefined

/** What runs on Node itself is timed in a process of its own, without tsx. */
export const inPlainNode = (names: readonly string[]): Record<string, Measure> =>
  Object.fromEntries(names.map((name): [string, Measure] => [name, (progress, draw) => measure(name, progress, draw)]))

const measure = async (name: string, progress: (done: number) => void, draw: (curve: Curve) => void): Promise<Figure[]> => {
  built ??= build()
  await built
  // Without tsx, which this process passes on by its flags.
  const child = fork(file, [name], { execArgv: [] })
  let figures: Figure[] | undefined
  child.on('message', (message: { done: number } | { curve: Curve } | { figures: Figure[] }) => {
    if ('done' in message) progress(message.done)
    else if ('curve' in message) draw(message.curve)
    else figures = message.figures
  })
  const [code] = await once(child, 'exit')
  if (code !== 0 || !figures) throw new Error(`${name} ended with ${code}; to see it alone: node ${file} ${name}`)
  return figures
}

async function build(): Promise<void> {
  mkdirSync(join(root, 'out', 'bench'), { recursive: true })
  writeFileSync(file, await bundle('bench/child.ts', 'node'))
}
