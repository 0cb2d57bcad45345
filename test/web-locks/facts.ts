/** Two contexts of one origin, each with its own `LockManager`. */
interface Contexts {
  readonly here: LockManager
  readonly there: LockManager
  /** An abort controller from the other context's realm. */
  readonly abortThere: AbortController
}

/** One fact about Web Locks, which can be checked in any runner and any engine. */
export interface Fact {
  readonly name: string
  /** Rejects if the fact does not hold. */
  run(contexts: Contexts): Promise<void>
}

type Callback = (lock: Lock | null) => unknown
/** `request` as untyped scripts call it. */
type Loose = (...args: unknown[]) => Promise<unknown>

const loose =
  (locks: LockManager): Loose =>
  (...args) =>
    (locks.request as Loose)(...args)

const nothing = (): void => {}

/** How often closely successive requests are tried, since a store's guess of a row may be right by chance. */
export const trials = 9

function same(actual: unknown, expected: unknown, what: string): void {
  const [is, should] = [JSON.stringify(actual), JSON.stringify(expected)]
  if (is !== should) throw new Error(`${what}: expected ${should}, got ${is}`)
}

function identical(actual: unknown, expected: unknown, what: string): void {
  if (!Object.is(actual, expected)) throw new Error(`${what}: expected ${String(expected)}, got ${String(actual)}`)
}

/** The reason with which a promise rejects. */
async function reasonOf(promise: Promise<unknown>): Promise<unknown> {
  const [result] = await Promise.allSettled([promise])
  if (result.status === 'fulfilled') throw new Error(`it was fulfilled with ${String(result.value)}`)
  return result.reason
}

/** Checks that a call rejects with an error of this name instead of throwing. */
async function rejects(call: () => Promise<unknown>, name: string, what = 'the call'): Promise<void> {
  const promise = call()
  const error = (await reasonOf(promise)) as Error
  identical(error?.name, name, what)
}

interface Held {
  /** Resolves when the callback runs. */
  readonly granted: Promise<Lock | null>
  /** The promise that `request` returned. */
  readonly settled: Promise<unknown>
  /** Ends the callback, and resolves when the lock is released. */
  release(): Promise<void>
  /** Ends the callback of a request that may be rejected. */
  drop(): void
}

/** Requests a lock, and holds it until `release` or `drop`. */
function hold(locks: LockManager, name: string, options: LockOptions = {}, granted: () => void = nothing): Held {
  let end = nothing
  const over = new Promise<void>((resolve) => {
    end = resolve
  })
  let settled: Promise<unknown> = over
  const isGranted = new Promise<Lock | null>((resolve, reject) => {
    settled = locks.request(name, options, (lock) => {
      granted()
      resolve(lock)
      return over
    })
    settled.catch(reject)
  })
  isGranted.catch(nothing)
  const release = async (): Promise<void> => {
    end()
    await settled
  }
  return { granted: isGranted, settled, release, drop: () => end() }
}

/** The modes of the locks and requests of a name, in a query. */
async function stateOf(locks: LockManager, name: string): Promise<{ held: unknown[]; pending: unknown[] }> {
  const { held = [], pending = [] } = await locks.query()
  const of = (infos: LockInfo[]): unknown[] => infos.filter((info) => info.name === name).map(({ mode }) => mode)
  return { held: of(held), pending: of(pending) }
}

const free = { held: [], pending: [] }
const isFree = async (locks: LockManager, name: string): Promise<void> => same(await stateOf(locks, name), free, 'what is left of the lock')

/** Records steps in the order in which they happen. */
const steps = () => {
  const done: unknown[] = []
  return { done, step: (name: unknown) => () => void done.push(name) }
}

const neverRun = (): never => {
  throw new Error('the callback ran')
}

const thenableOf = (then: (...args: never[]) => unknown): object => Object.fromEntries([['then', then]])

type Check = (contexts: Contexts, name: string) => Promise<void>
const toFacts = (area: string, checks: Readonly<Record<string, Check>>): Fact[] =>
  Object.entries(checks).map(([name, check]) => ({ name: `${area}: ${name}`, run: (contexts) => check(contexts, `${area}: ${name}`) }))

const args = toFacts('arguments', {
  'fewer than two are a TypeError': async ({ here }, name) => {
    await rejects(() => loose(here)(), 'TypeError', 'none')
    await rejects(() => loose(here)(name), 'TypeError', 'one')
    await rejects(() => loose(here)(nothing), 'TypeError', 'a callback alone')
  },
  'the last of two has to be a function': async ({ here }, name) => {
    for (const callback of [undefined, null, 7, 'callback', {}, [], Symbol()]) await rejects(() => loose(here)(name, callback), 'TypeError')
  },
  'the third of three has to be a function, even if the second is one': async ({ here }, name) => {
    for (const callback of [undefined, null, {}]) await rejects(() => loose(here)(name, nothing, callback), 'TypeError')
  },
  'a fourth is ignored': async ({ here }, name) => {
    identical(await loose(here)(name, {}, () => 1, neverRun), 1, 'the result')
  },
  'a name becomes a string': async ({ here }) => {
    for (const name of [7, null, undefined, { toString: () => 'n' }]) {
      identical(await loose(here)(name, (lock: Lock) => lock.name), `${name}`, 'the name')
    }
  },
  'a name that cannot become a string rejects': async ({ here }) => {
    const error = new Error('mine')
    const thrower = {
      toString() {
        throw error
      },
    }
    await rejects(() => loose(here)(Symbol(), neverRun), 'TypeError', 'a symbol')
    identical(await reasonOf(loose(here)(thrower, neverRun)), error, 'what toString throws')
  },
  'options may be undefined or null': async ({ here }, name) => {
    for (const options of [undefined, null]) identical(await loose(here)(name, options, (lock: Lock) => lock.mode), 'exclusive', 'the mode')
  },
  'options that are not an object are a TypeError': async ({ here }, name) => {
    for (const options of [7, 'shared', true, Symbol(), 1n]) await rejects(() => loose(here)(name, options, neverRun), 'TypeError')
  },
  'options may be a function': async ({ here }, name) => {
    const options = Object.assign(() => {}, { mode: 'shared' })
    identical(await loose(here)(name, options, (lock: Lock) => lock.mode), 'shared', 'the mode')
  },
  'inherited options are read': async ({ here }, name) => {
    identical(await loose(here)(name, Object.create({ mode: 'shared' }), (lock: Lock) => lock.mode), 'shared', 'the mode')
  },
  'each option is read once, in alphabetical order': async ({ here }, name) => {
    const read: unknown[] = []
    const options = new Proxy({}, { get: (_, member) => void read.push(member) })
    await loose(here)(name, options, nothing)
    same(
      read.filter((member) => ['steal', 'signal', 'mode', 'ifAvailable'].includes(String(member))),
      ['ifAvailable', 'mode', 'signal', 'steal'],
      'what was read',
    )
  },
  'an error thrown by reading an option rejects the call': async ({ here }, name) => {
    const error = new Error('mine')
    const options = {
      get steal() {
        throw error
      },
    }
    identical(await reasonOf(loose(here)(name, options, neverRun)), error, 'the reason')
  },
  'they are converted in order': async ({ here }, name) => {
    const error = (text: string) => () => {
      throw new Error(text)
    }
    const options = (text: string) => ({ mode: { toString: error(text) } })
    const reason = async (...given: unknown[]) => ((await reasonOf(loose(here)(...given))) as Error).message
    identical(await reason({ toString: error('name') }, options('options'), 7), 'name', 'before options')
    identical(await reason(name, options('options'), 7), 'options', 'before the callback')
  },
  'mode is exclusive by default': async ({ here }, name) => {
    identical(await here.request(name, (lock) => lock?.mode), 'exclusive', 'without options')
    identical(await loose(here)(name, { mode: undefined }, (lock: Lock) => lock.mode), 'exclusive', 'undefined')
  },
  'mode becomes a string, which must be one of two': async ({ here }, name) => {
    identical(await loose(here)(name, { mode: { toString: () => 'shared' } }, (lock: Lock) => lock.mode), 'shared', 'an object')
    for (const mode of [null, '', 'Shared', 'none', 0, {}, Symbol()])
      await rejects(() => loose(here)(name, { mode }, neverRun), 'TypeError', String(mode))
  },
  'ifAvailable and steal may be any truthy or falsy value': async ({ here }, name) => {
    const kept = hold(here, name)
    for (const ifAvailable of [1, 'no', {}, Symbol()])
      identical(await loose(here)(name, { ifAvailable }, (lock: unknown) => lock), null, 'a true one')
    await rejects(() => loose(here)(name, { steal: 'no', ifAvailable: 1 }, neverRun), 'NotSupportedError')
    await kept.release()
    for (const no of [0, '', null, undefined, Number.NaN])
      identical(await loose(here)(name, { ifAvailable: no, steal: no }, () => 1), 1, 'a false one')
  },
  'a signal has to be an AbortSignal': async ({ here }, name) => {
    const signals = [null, 7, false, 'stop', {}, nothing, globalThis, Object.create(AbortSignal.prototype), new AbortController()]
    for (const signal of signals) await rejects(() => loose(here)(name, { signal }, neverRun), 'TypeError')
    identical(await loose(here)(name, { signal: undefined }, () => 1), 1, 'undefined is none')
  },
  'a signal may belong to another context': async ({ here, abortThere }, name) => {
    identical(await here.request(name, { signal: abortThere.signal }, () => 1), 1, 'the result')
    const kept = hold(here, name)
    const wait = reasonOf(here.request(name, { signal: abortThere.signal }, neverRun))
    await here.query()
    abortThere.abort('stop')
    identical(await wait, 'stop', 'the reason')
    await kept.release()
  },
})

const refusals = toFacts('refusals', {
  'a name that starts with a hyphen': async ({ here }) => {
    for (const name of ['-', '-k', '-\0', '--']) await rejects(() => here.request(name, neverRun), 'NotSupportedError', name)
    identical(await here.request('k-', () => 1), 1, 'a hyphen elsewhere')
  },
  'steal with ifAvailable': ({ here }, name) => rejects(() => here.request(name, { steal: true, ifAvailable: true }, neverRun), 'NotSupportedError'),
  'steal in shared mode': ({ here }, name) => rejects(() => here.request(name, { steal: true, mode: 'shared' }, neverRun), 'NotSupportedError'),
  'a signal with steal or ifAvailable': async ({ here }, name) => {
    const { signal } = new AbortController()
    await rejects(() => here.request(name, { signal, steal: true }, neverRun), 'NotSupportedError', 'steal')
    await rejects(() => here.request(name, { signal, ifAvailable: true }, neverRun), 'NotSupportedError', 'ifAvailable')
  },
  'come after conversion': async ({ here }) => {
    await rejects(() => loose(here)('-k', { mode: 'none' }, neverRun), 'TypeError', 'the mode')
    await rejects(() => loose(here)('-k', {}), 'TypeError', 'the callback')
  },
  'come before the check of the signal': async ({ here }, name) => {
    const signal = AbortSignal.abort('stop')
    await rejects(() => here.request('-k', { signal }, neverRun), 'NotSupportedError', 'the name')
    await rejects(() => here.request(name, { signal, steal: true }, neverRun), 'NotSupportedError', 'the options')
  },
  'leave no request behind': async ({ here }, name) => {
    await reasonOf(here.request(name, { steal: true, ifAvailable: true }, neverRun))
    await isFree(here, name)
  },
})

const callbacks = toFacts('the callback', {
  'never runs before request has returned': async ({ here }, name) => {
    const { done, step } = steps()
    const call = here.request(name, step('ran'))
    step('returned')()
    await call
    const again = here.request(name, step('ran'))
    step('returned')()
    await again
    same(done, ['returned', 'ran', 'returned', 'ran'], 'the order')
  },
  'gets only the lock, and no this': async ({ here }, name) => {
    const given = await here.request(name, function (this: unknown, ...all) {
      return [this === undefined, all.length, all[0]?.name, all[0]?.mode]
    } as Callback)
    same(given, [true, 1, name, 'exclusive'], 'what it was given')
  },
  'gives the call its result': async ({ here }, name) => {
    identical(await here.request(name, () => 7), 7, 'a value')
    identical(await here.request(name, async () => 'seven'), 'seven', 'a promise')
    const thenable = thenableOf((resolve: (value: unknown) => void) => resolve('then'))
    identical(await here.request(name, () => thenable), 'then', 'a thenable')
    identical(await here.request(name, nothing), undefined, 'none')
  },
  'rejects the call with the reason with which it throws or rejects': async ({ here }, name) => {
    for (const reason of [new Error('mine'), undefined, 'text']) {
      const thrower = () => {
        throw reason
      }
      identical(await reasonOf(here.request(name, thrower)), reason, 'thrown')
      identical(await reasonOf(here.request(name, () => Promise.reject(reason))), reason, 'rejected')
    }
    const thenable = thenableOf((_: unknown, reject: (reason: unknown) => void) => reject('no'))
    identical(await reasonOf(here.request(name, () => thenable)), 'no', 'of a thenable')
    await isFree(here, name)
  },
  'may reject with a thenable, whose then is not called': async ({ here }, name) => {
    const thrown = thenableOf(neverRun)
    const [result] = await Promise.allSettled([here.request(name, () => Promise.reject(thrown))])
    identical(result.status === 'rejected' && result.reason, thrown, 'the reason')
  },
  'holds the lock until its promise settles': async ({ here, there }, name) => {
    const { done, step } = steps()
    const first = hold(here, name)
    await first.granted
    const second = there.request(name, step('second'))
    await there.query()
    step('first')()
    await first.release()
    await second
    same(done, ['first', 'second'], 'the order')
  },
  'no longer holds the lock when the call settles': async ({ here, there }, name) => {
    await here.request(name, nothing)
    await isFree(here, name)
    await reasonOf(here.request(name, () => Promise.reject(1)))
    // A browser's own locks are free in other contexts only a moment later, so this request may have to wait.
    identical(await there.request(name, (lock) => lock?.name), name, 'elsewhere')
  },
  'may ask for other locks': async ({ here }, name) => {
    identical(await here.request(name, () => here.request(`${name} 2`, () => here.request(`${name} 3`, () => 1))), 1, 'the result')
  },
})

/**
 * Checks that closely successive requests of two contexts are served in the order in which they were made.
 * @param apart whether each request has its own turn of the event loop. If not, all share one turn in every other trial
 */
async function inOrder(contexts: Contexts, name: string, askers: readonly ('here' | 'there')[], apart = false): Promise<void> {
  const { here, there } = contexts
  const orders: string[] = []
  for (let trial = 0; trial < trials; trial++) {
    for (const locks of [here, there]) for (let turn = 0; turn < 5; turn++) await locks.request(name, nothing)
    const { done, step } = steps()
    const kept = hold(here, name)
    await kept.granted
    const calls: Promise<unknown>[] = []
    for (const [index, asker] of askers.entries()) {
      calls.push(contexts[asker].request(name, step(index)))
      if (apart || trial % 2) await new Promise((resolve) => setTimeout(resolve))
    }
    await Promise.all([here.query(), there.query()])
    await kept.release()
    await Promise.all(calls)
    orders.push(done.join())
  }
  same(orders, Array(trials).fill(Object.keys(askers).join()), 'the orders')
}

const modes = toFacts('modes', {
  'an exclusive lock is held alone': async ({ here, there }, name) => {
    const kept = hold(here, name)
    await kept.granted
    for (const mode of ['exclusive', 'shared'] as const) {
      for (const locks of [here, there]) identical(await locks.request(name, { mode, ifAvailable: true }, (lock) => lock), null, mode)
    }
    await kept.release()
  },
  'a shared lock can be held several times': async ({ here, there }, name) => {
    const shared = [here, here, there].map((locks) => hold(locks, name, { mode: 'shared' }))
    for (const { granted } of shared) identical((await granted)?.mode, 'shared', 'the mode')
    identical(await there.request(name, { ifAvailable: true }, (lock) => lock), null, 'an exclusive request')
    for (const { release } of shared) await release()
    await isFree(here, name)
  },
  'requests are served in the order in which they were made': async ({ here, there }, name) => {
    const { done, step } = steps()
    const kept = hold(here, name)
    await kept.granted
    const calls: Promise<unknown>[] = []
    for (const [index, locks] of [here, there, there, here, there].entries()) {
      calls.push(locks.request(name, step(index)))
      await locks.query()
    }
    await kept.release()
    await Promise.all(calls)
    same(done, [0, 1, 2, 3, 4], 'the order')
  },
  'closely successive requests of one context are served in order, whichever context used the name before': (contexts, name) =>
    inOrder(contexts, name, ['there', 'there', 'there', 'there']),
  // A busy browser may handle two requests of one context together, before an earlier one of another context. Its own locks show that, too.
  'a request comes before one that another context makes right after it, whichever context used the name before': (contexts, name) =>
    inOrder(contexts, name, ['there', 'here']),
  'a shared request waits behind a waiting exclusive one': async ({ here, there }, name) => {
    const reader = hold(here, name, { mode: 'shared' })
    await reader.granted
    const writer = hold(there, name)
    await there.query()
    const late = hold(here, name, { mode: 'shared' })
    same(await stateOf(here, name), { held: ['shared'], pending: ['exclusive', 'shared'] }, 'behind')
    await reader.release()
    await writer.granted
    same(await stateOf(there, name), { held: ['exclusive'], pending: ['shared'] }, 'its turn')
    await writer.release()
    await late.granted
    await late.release()
  },
  'shared requests at the head of the queue are granted together': async ({ here, there }, name) => {
    const writer = hold(here, name)
    await writer.granted
    const readers = [here, there, here].map((locks) => hold(locks, name, { mode: 'shared' }))
    await Promise.all([here.query(), there.query()])
    await writer.release()
    await Promise.all(readers.map(({ granted }) => granted))
    same(await stateOf(here, name), { held: ['shared', 'shared', 'shared'], pending: [] }, 'all of them')
    for (const { release } of readers) await release()
  },
  'an exclusive request waits for all shared holders': async ({ here, there }, name) => {
    const { done, step } = steps()
    const readers = [here, there].map((locks) => hold(locks, name, { mode: 'shared' }))
    await Promise.all(readers.map(({ granted }) => granted))
    const writer = here.request(name, step('written'))
    for (const { release } of readers) {
      await here.query()
      step('read')()
      await release()
    }
    await writer
    same(done, ['read', 'read', 'written'], 'the order')
  },
})

const strange = [
  '',
  ' ',
  '\0',
  'a\0b',
  '\ud800',
  '\udc00',
  'x\udc00y',
  '\udc00\ud800',
  '@',
  '@/',
  '%',
  '%d800',
  '@n/x',
  'ü/é',
  'u\u0308/e',
  '🔒',
  'K',
  'k',
]

const names = toFacts('names', {
  'may be any string, and no two collide': async ({ here, there }) => {
    const kept = strange.map((name) => hold(here, name, { ifAvailable: true }))
    for (const [index, { granted }] of kept.entries()) identical((await granted)?.name, strange[index], 'the name')
    for (const name of strange) identical(await there.request(name, { ifAvailable: true }, (lock) => lock), null, 'to others')
    for (const { release } of kept) await release()
  },
  'are shown by a query as they are': async ({ here, there }) => {
    const kept = strange.map((name) => hold(here, name))
    await Promise.all(kept.map(({ granted }) => granted))
    const { held = [] } = await there.query()
    same(held.map(({ name }) => name).sort(), [...strange].sort(), 'the names')
    for (const { release } of kept) await release()
  },
  'may be long': async ({ here, there }) => {
    const long = 'x'.repeat(5_000)
    const kept = hold(here, long)
    await kept.granted
    identical(await there.request(long, { ifAvailable: true }, (lock) => lock), null, 'the same one')
    identical(await there.request(`${long}y`, { ifAvailable: true }, (lock) => lock?.name.length), 5_001, 'another')
    await kept.release()
  },
})

const ifAvailable = toFacts('ifAvailable', {
  'gives a free lock': async ({ here }, name) => {
    identical(await here.request(name, { ifAvailable: true }, (lock) => lock?.name), name, 'the lock')
  },
  'gives null for a held lock, also if the same context holds it': async ({ here, there }, name) => {
    await here.request(name, async () => {
      identical(await here.request(name, { ifAvailable: true }, (lock) => lock), null, 'here')
      identical(await there.request(name, { ifAvailable: true }, (lock) => lock), null, 'there')
    })
  },
  'gives null if a request is waiting, even if the mode would allow a grant': async ({ here, there }, name) => {
    const reader = hold(here, name, { mode: 'shared' })
    await reader.granted
    const writer = hold(there, name)
    await there.query()
    identical(await here.request(name, { mode: 'shared', ifAvailable: true }, (lock) => lock), null, 'the lock')
    await reader.release()
    await writer.release()
  },
  'passes on result and error when it gives null': async ({ here }, name) => {
    const kept = hold(here, name)
    identical(await here.request(name, { ifAvailable: true }, async () => 7), 7, 'the result')
    identical(await reasonOf(here.request(name, { ifAvailable: true }, () => Promise.reject('no'))), 'no', 'the error')
    await kept.release()
  },
  'does not wait': async ({ here, there }, name) => {
    const kept = hold(here, name)
    await there.request(name, { ifAvailable: true }, nothing)
    same(await stateOf(there, name), { held: ['exclusive'], pending: [] }, 'what waits')
    await kept.release()
  },
})

const signals = toFacts('signal', {
  'one that is already aborted rejects with its reason, and nothing is requested': async ({ here }, name) => {
    identical(await reasonOf(here.request(name, { signal: AbortSignal.abort('stop') }, neverRun)), 'stop', 'the reason')
    await rejects(() => here.request(name, { signal: AbortSignal.abort() }, neverRun), 'AbortError', 'without a reason')
    await isFree(here, name)
  },
  'cancels a wait with its reason': async ({ here, there }, name) => {
    const { signal, stop } = stopper()
    const kept = hold(here, name)
    await kept.granted
    const wait = reasonOf(there.request(name, { signal }, neverRun))
    await there.query()
    same(await stateOf(here, name), { held: ['exclusive'], pending: ['exclusive'] }, 'before')
    stop('stop')
    identical(await wait, 'stop', 'the reason')
    await there.query()
    same(await stateOf(here, name), { held: ['exclusive'], pending: [] }, 'after')
    await kept.release()
  },
  'lets requests through that waited behind the cancelled one': async ({ here, there }, name) => {
    const { signal, stop } = stopper()
    const reader = hold(here, name, { mode: 'shared' })
    await reader.granted
    const writer = reasonOf(there.request(name, { signal }, neverRun))
    await there.query()
    const next = hold(here, name, { mode: 'shared' })
    same(await stateOf(here, name), { held: ['shared'], pending: ['exclusive', 'shared'] }, 'before')
    stop('stop')
    identical(await writer, 'stop', 'the reason')
    await next.granted
    await reader.release()
    await next.release()
  },
  'cancels a request of the same turn': async ({ here }, name) => {
    const { signal, stop } = stopper()
    const call = reasonOf(here.request(name, { signal }, neverRun))
    stop('stop')
    identical(await call, 'stop', 'the reason')
    identical(await here.request(name, () => 1), 1, 'the next one')
    await isFree(here, name)
  },
  'changes nothing once the callback runs': async ({ here }, name) => {
    const { signal, stop } = stopper()
    const kept = hold(here, name, { signal })
    await kept.granted
    stop('stop')
    same(await stateOf(here, name), { held: ['exclusive'], pending: [] }, 'the lock')
    await kept.release()
  },
  'cancels all requests that have it': async ({ here, there }, name) => {
    const { signal, stop } = stopper()
    const kept = hold(here, name)
    await kept.granted
    const waits = [here, here, there].map((locks) => reasonOf(locks.request(name, { signal }, neverRun)))
    await there.query()
    stop('stop')
    same(await Promise.all(waits), ['stop', 'stop', 'stop'], 'the reasons')
    // This context knows of the other context's cancellation once that context's next query is answered.
    await there.query()
    same(await stateOf(here, name), { held: ['exclusive'], pending: [] }, 'what waits')
    await kept.release()
  },
})

function stopper(): { signal: AbortSignal; stop(reason: unknown): void } {
  const controller = new AbortController()
  return { signal: controller.signal, stop: (reason) => controller.abort(reason) }
}

const steal = toFacts('steal', {
  'takes a free lock': async ({ here }, name) => {
    identical(await here.request(name, { steal: true }, (lock) => lock?.mode), 'exclusive', 'the mode')
  },
  'rejects the victim’s call at once, with AbortError': async ({ here, there }, name) => {
    for (const robbed of [here, there]) {
      const kept = hold(robbed, name)
      await kept.granted
      const thief = hold(here, name, { steal: true })
      await rejects(() => kept.settled, 'AbortError')
      await thief.granted
      same(await stateOf(here, name), { held: ['exclusive'], pending: [] }, 'what is held')
      kept.drop()
      await thief.release()
    }
  },
  'takes a lock that was requested in the same turn': async ({ here }, name) => {
    const kept = hold(here, name)
    identical(await here.request(name, { steal: true }, () => 1), 1, 'the result')
    await rejects(() => kept.settled, 'AbortError')
    kept.drop()
    await isFree(here, name)
  },
  'takes the lock from all shared holders': async ({ here, there }, name) => {
    const shared = [here, there, there].map((locks) => hold(locks, name, { mode: 'shared' }))
    await Promise.all(shared.map(({ granted }) => granted))
    identical(await there.request(name, { steal: true }, () => 1), 1, 'the result')
    for (const { settled, drop } of shared) {
      await rejects(() => settled, 'AbortError')
      drop()
    }
  },
  'goes ahead of all waiting requests, which keep waiting': async ({ here, there }, name) => {
    const { done, step } = steps()
    const kept = hold(here, name)
    await kept.granted
    const waits = [there.request(name, step('waited'))]
    await there.query()
    const thief = hold(here, name, { steal: true }, step('stole'))
    await thief.granted
    same(await stateOf(here, name), { held: ['exclusive'], pending: ['exclusive'] }, 'who waits')
    await thief.release()
    await Promise.all(waits)
    await rejects(() => kept.settled, 'AbortError')
    kept.drop()
    same(done, ['stole', 'waited'], 'the order')
  },
  'can itself be stolen from': async ({ here, there }, name) => {
    const first = hold(here, name, { steal: true })
    await first.granted
    const second = hold(there, name, { steal: true })
    await second.granted
    await rejects(() => first.settled, 'AbortError')
    first.drop()
    await second.release()
  },
  'is not undone when the victim’s callback ends': async ({ here, there }, name) => {
    const kept = hold(here, name)
    await kept.granted
    const thief = hold(there, name, { steal: true })
    await thief.granted
    await rejects(() => kept.settled, 'AbortError')
    kept.drop()
    await here.query()
    same(await stateOf(here, name), { held: ['exclusive'], pending: [] }, 'what is held')
    await thief.release()
  },
})

const queries = toFacts('query', {
  'shows requests that were made before it': async ({ here }, name) => {
    const calls = [hold(here, name), hold(here, name), hold(here, name, { mode: 'shared' })]
    same(await stateOf(here, name), { held: ['exclusive'], pending: ['exclusive', 'shared'] }, 'the state')
    for (const { release } of calls) await release()
  },
  'shows the waiting requests of a name in the order of the queue': async ({ here, there }, name) => {
    const calls = [hold(here, name)]
    await here.query()
    for (const [locks, mode] of [
      [there, 'shared'],
      [here, 'exclusive'],
      [there, 'exclusive'],
      [here, 'shared'],
    ] as const) {
      calls.push(hold(locks, name, { mode }))
      await locks.query()
    }
    same(await stateOf(there, name), { held: ['exclusive'], pending: ['shared', 'exclusive', 'exclusive', 'shared'] }, 'the state')
    for (const { release } of calls) await release()
  },
  'shows the same in all contexts, with one clientId for each context': async ({ here, there }, name) => {
    const [first, second] = [hold(here, name), hold(there, `${name} 2`)]
    await Promise.all([first.granted, second.granted])
    const waits = [hold(there, name), hold(here, `${name} 2`)]
    await Promise.all([here.query(), there.query()])
    const views = await Promise.all([here.query(), there.query()])
    const [ids] = views.map(({ held = [], pending = [] }) => {
      const idOf = (infos: LockInfo[], wanted: string): unknown => infos.find((info) => info.name === wanted)?.clientId
      return [idOf(held, name), idOf(pending, `${name} 2`), idOf(held, `${name} 2`), idOf(pending, name)]
    })
    const [a, alsoA, b, alsoB] = ids ?? []
    same([typeof a, a === alsoA, b === alsoB, a === b], ['string', true, true, false], 'the ids')
    const bare = (view: LockManagerSnapshot) => [view.held, view.pending].map((list) => list?.map((info) => [info.name, info.mode, info.clientId]))
    same(bare(views[1]), bare(views[0]), 'the other view')
    for (const { release } of [first, second, ...waits]) await release()
  },
  'returns new lists each time': async ({ here }, name) => {
    const kept = hold(here, name)
    const [one, other] = [await here.query(), await here.query()]
    same([one === other, one.held === other.held], [false, false], 'whether they are the same')
    await kept.release()
  },
})

/** The facts that callers can rely on. */
export const facts: readonly Fact[] = [...args, ...refusals, ...callbacks, ...modes, ...names, ...ifAvailable, ...signals, ...steal, ...queries]

/** Further facts that hold if there is no browser and no port between the contexts and the store. */
export const withoutBrowser: readonly Fact[] = toFacts('modes', {
  'closely successive requests of two contexts are served in order, whichever context used the name before': (contexts, name) =>
    inOrder(contexts, name, ['there', 'here', 'there', 'here'], true),
})

const descriptorsOf = (object: object): unknown =>
  Object.entries(Object.getOwnPropertyDescriptors(object))
    .map(([name, { enumerable, get, set, value }]) => [
      name,
      enumerable,
      typeof get,
      typeof set,
      typeof value === 'function' ? value.length : undefined,
    ])
    .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1))

/** Facts about the shape of the objects: prototypes, property descriptors, names. */
export const shapes: readonly Fact[] = toFacts('shape', {
  'a lock manager has two methods': async ({ here }) => {
    same(
      descriptorsOf(Object.getPrototypeOf(here)),
      [
        ['constructor', false, 'undefined', 'undefined', 0],
        ['query', true, 'undefined', 'undefined', 0],
        ['request', true, 'undefined', 'undefined', 2],
      ],
      'the members',
    )
    same(Reflect.ownKeys(here), [], 'its own')
  },
  'a lock has two getters': async ({ here }, name) => {
    await here.request(name, (lock) => {
      same(
        descriptorsOf(Object.getPrototypeOf(lock)),
        [
          ['constructor', false, 'undefined', 'undefined', 0],
          ['mode', true, 'function', 'undefined', undefined],
          ['name', true, 'function', 'undefined', undefined],
        ],
        'the members',
      )
      same(Reflect.ownKeys(lock as object), [], 'its own')
    })
  },
  'both have a name and a string tag': async ({ here }, name) => {
    const tag = (object: unknown): string => Object.prototype.toString.call(object)
    const nameOf = (object: object | null): string | undefined => object?.constructor.name
    same([tag(here), nameOf(here)], ['[object LockManager]', 'LockManager'], 'a lock manager')
    await here.request(name, (lock) => same([tag(lock), nameOf(lock)], ['[object Lock]', 'Lock'], 'a lock'))
    const described = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(here), Symbol.toStringTag)
    same(described, { value: 'LockManager', writable: false, enumerable: false, configurable: true }, 'the tag')
  },
  'neither can be constructed': async ({ here }, name) => {
    await here.request(name, (lock) => {
      for (const made of [here, lock as Lock]) {
        for (const given of [[], [undefined], [lock, here]]) {
          let error: unknown
          try {
            Reflect.construct(made.constructor, given)
          } catch (thrown) {
            error = thrown
          }
          identical((error as Error | undefined)?.name, 'TypeError', 'new')
        }
      }
    })
  },
  'their members refuse a foreign `this`': async ({ here }, name) => {
    await rejects(() => Reflect.apply(here.request, {}, [name, neverRun]), 'TypeError', 'request')
    await rejects(() => Reflect.apply(here.query, {}, []), 'TypeError', 'query')
    await here.request(name, (lock) => {
      const get = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(lock), 'name')?.get
      let error: unknown
      try {
        get?.call(here)
      } catch (thrown) {
        error = thrown
      }
      identical((error as Error | undefined)?.name, 'TypeError', 'name')
    })
  },
  'a snapshot has held and pending, and each lock in it name, mode and clientId': async ({ here }, name) => {
    const calls = [hold(here, name), hold(here, name)]
    const { held = [], pending = [], ...rest } = await (here.query as Loose as (...args: unknown[]) => Promise<LockManagerSnapshot>).call(here, 'k')
    same([Array.isArray(held), Array.isArray(pending), rest], [true, true, {}], 'the snapshot')
    const infos = [...held, ...pending].filter((info) => info.name === name)
    same(
      infos.map((info) => Object.keys(info).sort()),
      [
        ['clientId', 'mode', 'name'],
        ['clientId', 'mode', 'name'],
      ],
      'the members',
    )
    for (const { release } of calls) await release()
  },
  'only the options of the specification are read': async ({ here }, name) => {
    const read: unknown[] = []
    await loose(here)(name, new Proxy({}, { get: (_, member) => void read.push(member) }), nothing)
    same(read, ['ifAvailable', 'mode', 'signal', 'steal'], 'what was read')
  },
})
