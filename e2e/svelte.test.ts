import { describe } from 'vitest'
import { describeEachEngine } from './engines/each.ts'
import { frameworkFacts } from './frameworks/facts.ts'
import { svelte4, svelte5 } from './pages/frameworks/frameworks.ts'

describeEachEngine((engine) => {
  describe('Svelte 5', () => frameworkFacts(svelte5, engine))
  describe('Svelte 4', () => frameworkFacts(svelte4, engine))
})
