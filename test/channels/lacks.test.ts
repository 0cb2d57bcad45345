import { expect, test } from 'vitest'
import { makeLacks } from '../../src/channels/lacks.ts'

test('something missing is reported once, and again only if it was back in between', () => {
  const lacks = makeLacks()
  const heard: (string | undefined)[] = []
  lacks.onDegraded((why) => heard.push(why))
  lacks.say('hints', ' at all')
  lacks.say('hints', ' again')
  lacks.say('proofs of death', ' either')
  lacks.regain('hints')
  expect(heard).toEqual(['no hints at all', 'no proofs of death either'])
  lacks.regain('proofs of death')
  lacks.regain('proofs of death')
  lacks.say('hints', ' once more')
  expect(heard.slice(2)).toEqual([undefined, 'no hints once more'])
})

test('a listener that was removed is not called', () => {
  const lacks = makeLacks()
  const heard: unknown[] = []
  const listener = (why: string | undefined): unknown => heard.push(why)
  const stop = lacks.onDegraded(listener)
  lacks.onDegraded(listener)
  stop()
  lacks.say('hints', '')
  expect(heard).toEqual(['no hints'])
})
