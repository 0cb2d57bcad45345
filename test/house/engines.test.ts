import { expect, test } from 'vitest'
import type { Finding } from '../../e2e/engines/findings.ts'
import { outdated, tableOf } from '../../e2e/engines/table.ts'

const chromium: Finding = { engine: 'chromium', version: '150.0', lacks: [], leftOut: [] }
const webkit: Finding = { engine: 'webkit', version: '2.50', lacks: ['`freeze`'], leftOut: [{ fact: 'a crash', why: 'it cannot crash' }] }
const table = tableOf([chromium, webkit])

test('the table of engines says what each engine lacks, and why facts are left out for it', () => {
  expect(table).toContain('| Chromium | 150.0 | — | — |')
  expect(table).toContain('| WebKitGTK | 2.50 | `freeze` | it cannot crash |')
})

test('the table of engines is outdated once a run finds something different, but not by a new version alone', () => {
  const newer = { ...webkit, version: '2.52' }
  expect(outdated(table, [chromium, newer])).toEqual([])
  expect(outdated(table, [chromium, { ...newer, lacks: [] }])).toEqual(['WebKitGTK'])
  expect(outdated(table, [chromium, { ...newer, leftOut: [] }])).toEqual(['WebKitGTK'])
  expect(outdated(tableOf([chromium]), [webkit])).toEqual(['WebKitGTK'])
})
