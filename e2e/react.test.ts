import { describe } from 'vitest'
import { describeEachEngine } from './engines/each.ts'
import { frameworkFacts } from './frameworks/facts.ts'
import { react18, react19 } from './pages/frameworks/frameworks.ts'

describeEachEngine((engine) => {
  describe('React 19, in Strict Mode', () => frameworkFacts(react19, engine))
  describe('React 18, in Strict Mode', () => frameworkFacts(react18, engine))
})
