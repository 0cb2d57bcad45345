import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { root } from '../../bench/bundle.ts'
import { hunt } from '../../sim/hunt.ts'
import { mutants, mutation } from '../../sim/mutants.ts'

test('a hunt notices that a mutant no longer fits the sources', async () => {
  const stale = { name: 'stale', patches: [['locks/hold.ts', 'a text that is not there', '']] } as const
  await expect(hunt(stale, { seed: 1, ms: 1 })).rejects.toThrow('wants exactly one')
  expect(mutation(stale).name).toBe('mutation')
})

test.each(mutants)('the sources contain the text that this mutant changes: $name', ({ patches }) => {
  for (const [file, text] of patches) {
    const source = readFileSync(join(root, 'src', file), 'utf8')
    expect(source.split(text)).toHaveLength(2)
  }
})
