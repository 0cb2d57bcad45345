import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { makeProgram } from '../../src/cli/program.ts'
import { root } from '../house/installed.ts'

it('docs/cli.md tells of every command and option', () => {
  const page = readFileSync(join(root, 'docs/cli.md'), 'utf8')
  const { commands } = makeProgram()
  const visible = commands.flatMap(({ options }) => options.filter(({ hidden }) => !hidden))
  // What only says how long or how often a measurement goes on stands in `--help`.
  const names = [...commands.map((command) => command.name()), ...visible.map(({ long }) => `${long}`)].filter(
    (name) => !['--time', '--handoffs'].includes(name),
  )
  expect(names).toEqual(expect.arrayContaining(['run', 'doctor', '--steal-after-ask']))
  expect(names.filter((name) => !new RegExp(`[\`| [(]${name}\\b`).test(page))).toEqual([])
})
