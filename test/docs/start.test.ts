import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { installPackage, type Project, root } from '../house/installed.ts'

describe('docs/start.md', () => {
  let project: Project
  beforeAll(async () => {
    project = await installPackage()
  }, 120_000)
  afterAll(() => project?.remove())

  it('has a counter for processes that loses no count when two processes run at once', async () => {
    project.write('count.mjs', readFileSync(join(root, 'test/docs/start/count.mjs'), 'utf8'))
    const count = () => promisify(execFile)(process.execPath, ['count.mjs'], { cwd: project.path('') })
    const [one, two] = await Promise.all([count(), count()])
    const made = [...`${one.stdout}${two.stdout}`.matchAll(/^process \d+ made it (\d+)$/gm)].map(([, number]) => Number(number))
    expect(made.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1))
  })
})
