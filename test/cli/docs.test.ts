import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { makeProgram } from '../../src/cli/program.ts'
import { flagOf, settings } from '../../src/cli/serve/settings.ts'
import { root } from '../house/installed.ts'

it('docs/cli.md describes every command and option', () => {
  const page = readFileSync(join(root, 'docs/cli.md'), 'utf8')
  const { commands } = makeProgram()
  const visible = commands.flatMap(({ options }) => options.filter(({ hidden }) => !hidden))
  // The settings of `serve` have their own table in operations.md.
  const ofServer = settings.filter(({ name }) => name !== 'store').map(flagOf)
  // The options for how long or how often to measure are documented only in `--help`.
  const names = [...commands.map((command) => command.name()), ...visible.map(({ long }) => `${long}`)].filter(
    (name) => !['--time', '--handoffs', ...ofServer].includes(name),
  )
  expect(names).toEqual(expect.arrayContaining(['run', 'doctor', '--steal-after-ask']))
  expect(names.filter((name) => !new RegExp(`[\`| [(]${name}\\b`).test(page))).toEqual([])
})
