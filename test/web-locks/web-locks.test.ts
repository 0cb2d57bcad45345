import { createLocks } from 'storelock'
import { memoryStore } from 'storelock/stores/memory'
import { installWebLocks, webLocks } from 'storelock/web-locks'
import { expose, wrap } from 'storelock/worker'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Locks } from '../../src/locks/types.ts'
import { type Fact, facts, shapes, withoutBrowser } from './facts.ts'

/** The `Locks` of two contexts on one store. */
function pair(): [Locks, Locks] {
  const store = memoryStore()
  const both = [createLocks({ store }), createLocks({ store })] as [Locks, Locks]
  onTestFinished(async () => {
    await Promise.all(both.map((locks) => locks.close()))
  })
  return both
}

const runOn = (fact: Fact, managerOf: (locks: Locks) => LockManager): Promise<void> => {
  const [here, there] = pair()
  return fact.run({ here: managerOf(here), there: managerOf(there), abortThere: new AbortController() })
}

const named = (list: readonly Fact[]): [string, Fact][] => list.map((fact) => [fact.name, fact])

describe('webLocks', () => {
  test.each(named([...facts, ...withoutBrowser, ...shapes]))('%s', (_, fact) => runOn(fact, webLocks))
})

describe('createLocks', () => {
  test.each(named([...facts, ...withoutBrowser]))('%s', (_, fact) => runOn(fact, (locks) => locks))
})

describe('locks that a worker keeps', () => {
  const kept = (locks: Locks): Locks => {
    const { port1, port2 } = new MessageChannel()
    const page = wrap(port2)
    const stop = expose(locks, port1)
    onTestFinished(async () => {
      await page.close()
      await stop()
      port1.close()
    })
    return page
  }

  test.each(named(facts))('%s', (_, fact) => runOn(fact, kept))
})

describe('installWebLocks', () => {
  const [locks] = [createLocks({ store: memoryStore() })]
  const original = { request: () => Promise.reject(new Error('the original was asked')) }

  /** A global whose navigator gets `locks` from its prototype, as a browser's does. */
  function browser() {
    const prototype = Object.create(null, {
      locks: { get: () => original, enumerable: true, configurable: true },
    })
    return { navigator: Object.create(prototype) as Navigator, LockManager: class {} } as unknown as typeof globalThis
  }

  test('puts locks and their interfaces on a global in the way that browsers do', async () => {
    const target = browser()
    installWebLocks(locks, target)
    const { navigator, LockManager, Lock } = target
    expect(navigator.locks).toBeInstanceOf(LockManager)
    expect(navigator.locks).toBe(navigator.locks)
    expect(Object.keys(navigator)).toEqual([])
    expect('locks' in navigator).toBe(true)
    expect(await navigator.locks.request('k', (lock) => lock instanceof Lock)).toBe(true)
    expect(Object.getOwnPropertyDescriptor(target, 'Lock')).toMatchObject({ enumerable: false, configurable: true, writable: true })
  })

  test('gives locks only to that navigator', () => {
    const target = browser()
    installWebLocks(locks, target)
    expect(() => Object.create(Object.getPrototypeOf(target.navigator)).locks).toThrow(TypeError)
  })

  test('restores the original properties', () => {
    const target = browser()
    const { LockManager } = target
    const uninstall = installWebLocks(locks, target)
    uninstall()
    expect(target.navigator.locks).toBe(original)
    expect(target.LockManager).toBe(LockManager)
    expect('Lock' in target).toBe(false)
  })

  test('works if the navigator has no locks, and removes its own again', () => {
    const target = { navigator: {} }
    const uninstall = installWebLocks(locks, target)
    expect(target.navigator).toHaveProperty('locks')
    uninstall()
    expect(target.navigator).not.toHaveProperty('locks')
  })

  test('refuses a global without a navigator', () => {
    expect(() => installWebLocks(locks, {} as never)).toThrow(TypeError)
  })

  test('changes no global before it is called', async () => {
    expect(globalThis).not.toHaveProperty('LockManager')
    expect(globalThis).not.toHaveProperty('Lock')
  })
})
