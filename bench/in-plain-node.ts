import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { bundle, root } from './bundle.ts'
import type { Curve, Figure, Measure } from './figure.ts'

/**
 * Times code that runs on Node in a process of its own, without tsx.
 * @param program the source file of a program that measures the figures with these names
 */
export function inPlainNode(program: string, names: readonly string[]): Record<string, Measure> {
  const file = join(root, 'out', program.replace(/ts$/, 'js'))
  let built: Promise<void> | undefined

  const build = async (): Promise<void> => {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, await bundle(program, 'node'))
  }

  const measure = async (name: string, progress: (done: number) => void, draw: (curve: Curve) => void): Promise<Figure[]> => {
    built ??= build()
    await built
    // The child must not inherit this process's flags, which load tsx.
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

  return Object.fromEntries(names.map((name): [string, Measure] => [name, (progress, draw) => measure(name, progress, draw)]))
}
