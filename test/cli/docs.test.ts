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
  // Those have a table of their own in operations.md.
  const ofServer = settings.filter(({ name }) => name !== 'store').map(flagOf)
  // Options that only say how long or how often to measure are only in `--help`.
  const names = [...commands.map((command) => command.name()), ...visible.map(({ long }) => `${long}`)].filter(
    (name) => !['--time', '--handoffs', ...ofServer].includes(name),
  )
  expect(names).toEqual(expect.arrayContaining(['run', 'doctor', '--steal-after-ask']))
  expect(names.filter((name) => !new RegExp(`[\`| [(]${name}\\b`).test(page))).toEqual([])
})
