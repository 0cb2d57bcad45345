import { describe } from 'vitest'
import { describeEachEngine } from './engines/each.ts'
import { frameworkFacts } from './frameworks/facts.ts'
import { vue3 } from './pages/frameworks/frameworks.ts'

describeEachEngine((engine) => {
  describe('Vue 3', () => frameworkFacts(vue3, engine))
})
