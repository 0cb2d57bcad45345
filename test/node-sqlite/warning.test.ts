import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Built, buildProgram } from '../../e2e/cli/build.ts'
import { Program } from '../../e2e/cli/program.ts'

let built: Built
const folder = mkdtempSync(join(tmpdir(), 'storelock-'))
beforeAll(async () => {
  built = await buildProgram()
})
afterAll(() => {
  built?.remove()
  rmSync(folder, { recursive: true })
})

test.each(['run', 'ls'])('`%s` shows no warnings from Node, which cron would mail', async (command) => {
  const args = command === 'run' ? ['run', 'job', '--', 'true'] : ['ls', '--all', '--json']
  // The environment of these tests silences Node's warnings.
  const program = new Program([process.execPath, built.main, ...args], { cwd: folder, env: { ...process.env, NODE_OPTIONS: '' } })
  expect(await program.code()).toBe(0)
  expect(program.said.replace(/^storelock: made a new store.*\n/, '')).toBe('')
})
