import { expect, test } from 'vitest'
import { Policies } from '../../src/server/policies.ts'

test('a server remembers no namespaces without rules, and nothing about an ended session', () => {
  const policies = new Policies({ ruled: { maxDuration: 10_000 } })
  policies.saw({ type: 'beat', session: 's', client: 'c', lease: 1_000, opens: true })
  const request = { type: 'request', session: 's', client: 'c', number: 1, mode: 'exclusive', confirm: 500 } as const
  for (let index = 0; index < 1_000; index++) policies.saw({ ...request, key: `@space${index}/k` })
  policies.saw({ ...request, key: '@ruled/k' })
  expect(policies.size).toBe(2)
  policies.forget('s')
  expect(policies.size).toBe(0)
})
