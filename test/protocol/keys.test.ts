import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatKey, keyPrefix, maxNameBytes, moduleKey, nameFault, parseKey, storedKey, storedName, systemKey } from '../../src/protocol/index.ts'

/** Any JavaScript string, including lone surrogates and NUL. Short and from a small alphabet, so that two of them are often almost the same. */
const anyString = fc.oneof(
  fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)) }),
  fc.string({ unit: fc.constantFrom('@', '/', '%', '0', '2', 'a', '\0', '\ud83d', '\ude00', '%0000', '%d83d', 'é', '\n'), maxLength: 8 }),
  fc.constantFrom('', '@', '@@', '@/', '@@/', '%', '%0000', '%d800', 'x'.repeat(maxNameBytes + 1)),
)
/** A well-formed string: a namespace, or, if not empty, a part of a key. */
const wellFormed = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom('@', '/', '%', '2', 'F', '.', 'a', ' ', '\0', 'é', '😀'), maxLength: 6 }),
)
const part = wellFormed.filter((text) => text !== '')

describe('hierarchical keys', () => {
  test('F1: each part is escaped and follows a slash', () => {
    expect(formatKey(['module', 'idv', 'user', 'bob'])).toBe('/module/idv/user/bob')
    expect(formatKey(['a/b', 'ü %'])).toBe('/a%2Fb/%C3%BC%20%25')
  })

  test('F1: both roots have a builder', () => {
    expect(moduleKey('idv', 'user', 'bob')).toBe('/module/idv/user/bob')
    expect(moduleKey('idv')).toBe('/module/idv')
    expect(systemKey('runner', 'eu-1')).toBe('/system/runner/eu-1')
  })

  test('F1: a part with a slash is not two parts', () => {
    expect(formatKey(['a/b'])).not.toBe(formatKey(['a', 'b']))
  })

  test('F1: parse is the inverse of format', () => {
    fc.assert(
      fc.property(fc.array(part, { minLength: 1 }), (parts) => {
        expect(parseKey(formatKey(parts))).toEqual(parts)
      }),
      { numRuns: 500 },
    )
  })

  test('F1: format is the inverse of parse, for everything that parse accepts', () => {
    fc.assert(
      fc.property(fc.oneof(anyString, fc.webPath()), (text) => {
        let parts: string[]
        try {
          parts = parseKey(text)
        } catch (error) {
          expect(error).toBeInstanceOf(TypeError)
          return
        }
        expect(formatKey(parts)).toBe(text)
      }),
      { numRuns: 500 },
    )
  })

  test.each([
    ['no parts', []],
    ['an empty part', ['a', '']],
    ['a lone surrogate', ['\ud800']],
    ['a number', [1 as unknown as string]],
  ])('F1: %s cannot be formatted as a key', (_, parts) => {
    expect(() => formatKey(parts)).toThrow(TypeError)
  })

  test.each(['', '/', 'a', 'a/b', '/a/', '//a', '/a b', '/%2f', '/%E0', '/%'])('F1: %j is not a hierarchical key', (text) => {
    expect(() => parseKey(text)).toThrow(TypeError)
  })

  test('F1: a key is a plain name, stored unchanged', () => {
    const key = moduleKey('idv', 'a/b')
    expect(nameFault(key)).toBeUndefined()
    expect(storedKey('', key)).toBe(key)
  })
})

describe('names', () => {
  test.each([
    ['empty', '', /empty/],
    ['with a NUL', 'a\0b', /NUL/],
    ['with a lone surrogate', 'a\ud800', /surrogate/],
    ['too long', 'x'.repeat(maxNameBytes + 1), /1024 bytes/],
    ['too long in UTF-8', '€'.repeat(342), /1026/],
  ])('a name that is %s has a fault', (_, name, fault) => {
    expect(nameFault(name)).toMatch(fault)
  })

  test.each(['a', '@', '/a/b', '😀', ' ', 'x'.repeat(maxNameBytes), '€'.repeat(341)])('%j has no fault', (name) => {
    expect(nameFault(name)).toBeUndefined()
  })
})

describe('stored keys', () => {
  test('a plain name of the default namespace is its own key', () => {
    expect(storedKey('', 'sync')).toBe('sync')
  })

  test('J1: the same name in two namespaces has two keys', () => {
    expect(storedKey('one', 'sync')).not.toBe(storedKey('two', 'sync'))
    expect(storedKey('one', 'sync')).not.toBe(storedKey('', 'sync'))
  })

  test('J1: the stored key gives back any name and its namespace', () => {
    fc.assert(
      fc.property(wellFormed, anyString, (namespace, name) => {
        expect(storedName(storedKey(namespace, name))).toEqual({ namespace, name })
      }),
      { numRuns: 2_000 },
    )
  })

  test('J1: two names or namespaces never share a key', () => {
    fc.assert(
      fc.property(wellFormed, anyString, wellFormed, anyString, (oneSpace, one, otherSpace, other) => {
        fc.pre(oneSpace !== otherSpace || one !== other)
        expect(storedKey(oneSpace, one)).not.toBe(storedKey(otherSpace, other))
      }),
      { numRuns: 2_000 },
    )
  })

  test('no name can look like a name of another namespace', () => {
    for (const name of ['sync', '@sync', '', '\0']) expect(storedName(storedKey('', storedKey('one', name)))).toMatchObject({ namespace: '' })
  })

  test('a key is well-formed and without NUL, whatever the name', () => {
    fc.assert(
      fc.property(wellFormed, anyString, (namespace, name) => {
        expect(storedKey(namespace, name)).not.toMatch(/\0|\p{Surrogate}/u)
      }),
    )
  })

  test('J1: only the keys of a namespace start with its prefix', () => {
    fc.assert(
      fc.property(part, wellFormed, anyString, (namespace, other, name) => {
        expect(storedKey(namespace, name).startsWith(keyPrefix(namespace))).toBe(true)
        if (other !== namespace) expect(storedKey(other, name).startsWith(keyPrefix(namespace))).toBe(false)
      }),
      { numRuns: 1_000 },
    )
  })

  test('a text in a store that is not a valid key is taken as a name', () => {
    expect(storedName('@nothing')).toEqual({ namespace: '', name: '@nothing' })
  })
})
