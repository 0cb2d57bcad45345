import { expect, it } from 'vitest'
import { mutants } from '../../model/client/mutants.ts'
import { findIn } from './flaws.ts'

it.each(Object.entries(mutants))(
  'the model of clients finds out that %s',
  (_, parts) => {
    expect(findIn(parts, 5)).toBeDefined()
  },
  300_000,
)
