import type { AcquireOptions, HeldLock, RequestOptions } from '../src/locks/types.ts'
import { LockError, type LockErrorCode } from '../src/protocol/index.ts'
import type { Tx } from './link.ts'
import { forbidden, type Held, keys, limitedKey } from './parts.ts'
import type { Process } from './process.ts'
import type { World } from './world.ts'

/** The relative frequency of each action of a user. */
const habits = {
  acquire: 40,
  request: 10,
  tryAcquire: 10,
  reentrant: 14,
  burst: 2,
  again: 4,
  steal: 1,
  revoke: 3,
  pin: 2,
  expire: 2,
  whenFree: 3,
  query: 2,
  forbidden: 1,
  meddle: 5,
  reload: 1,
} as const

/** Code in a process that takes locks, works under them and releases them, sometimes carelessly. */
export class User {
  readonly #process: Process
  readonly #world: World
  /** Locks that it keeps until the world is quiet. */
  #kept: Held[] = []
  #overseeing = false
  /** Whether it is doing nothing. */
  idle = true

  constructor(process: Process, world: World) {
    this.#process = process
    this.#world = world
    this.#live().catch((error) => this.#world.fail(`${process.name}: ${error instanceof Error ? error.stack : error}`))
  }

  get process(): Process {
    return this.#process
  }

  async #live(): Promise<void> {
    const { chance } = this.#world
    for (;;) {
      await this.#process.sleep(chance.next() ** 2 * 8_000)
      if (this.#world.quiet) {
        this.idle = true
        continue
      }
      this.idle = false
      const habit = chance.weighted(habits)
      this.#world.count('operations', habit)
      this.#process.log(() => `user: ${habit}`)
      // Another user of the same process may be closing its locks.
      await this.#tolerate(this.#do(habit, chance.one([...keys, 'k'])), 'closed')
    }
  }

  /** Releases the locks that it has kept. */
  tidy(): void {
    for (const lock of this.#kept.splice(0)) this.#tolerate(lock.release(), 'store')
  }

  async #do(habit: keyof typeof habits, wanted: string): Promise<void> {
    const { chance } = this.#world
    // If several may hold the key, conflicting requests are rare, since they are refused or keep out all others.
    const contradicts = this.#isLimited(wanted) && (habit === 'steal' || habit === 'reentrant') && chance.maybe(0.9)
    const key = contradicts ? 'l' : wanted
    const { locks } = this.#process
    switch (habit) {
      case 'acquire':
        return this.#take(key, { ...this.#wish(key), ...this.#claim(key) })
      case 'steal':
        return this.#take(key, this.#mean('steal', key, { steal: true }))
      case 'burst': {
        const each = (): Promise<void> => this.#take(key, { renew: 'manual', ...this.#claim(key) }, 900)
        await Promise.all(Array.from({ length: 5 + chance.below(20) }, each))
        return
      }
      case 'again': {
        for (let left = 2 + chance.below(8); left; left--) await this.#take(key, { timeout: 1_000, ...this.#claim(key) }, 100)
        return
      }
      case 'request': {
        const draw = chance.next()
        const work = async (lock: HeldLock | null): Promise<void> => {
          if (!lock) return
          this.#world.beliefs.got(this.#process, lock, false)
          await this.#work(lock)
        }
        const how = draw < 0.3 ? { ifAvailable: true } : draw > 0.9 ? { ifNoQueue: true } : { mode: this.#mode() }
        const done = locks.request(key, { ...how, ...this.#claim(key) } as RequestOptions, work)
        await this.#tolerate(done, 'lost', 'store', 'closed', 'stolen', ...this.#refusals(key))
        return
      }
      case 'tryAcquire': {
        const timeout = chance.one([0, 1_000, 20_000])
        const lock = await this.#tolerate(
          locks.tryAcquire(key, { timeout, mode: this.#mode(), ...this.#claim(key) }),
          'store',
          'closed',
          ...this.#refusals(key),
        )
        if (lock) await this.#use(lock)
        return
      }
      case 'reentrant':
        return this.#share(key)
      case 'revoke':
        await this.#tolerate(locks.revoke(key), 'store', 'closed')
        return
      case 'pin': {
        await this.#tolerate(locks.pin(key, this.#process.name), 'store', 'closed')
        await this.#process.sleep(chance.next() * 20_000)
        await this.#tolerate(this.#process.locks.unpin(key, this.#process.name), 'store', 'closed', 'not-held')
        return
      }
      case 'expire':
        return this.#expire(key)
      case 'whenFree': {
        const stop = new AbortController()
        this.#process.sleep(chance.next() * 10_000).then(() => stop.abort(new LockError('timeout', 'enough')))
        await this.#tolerate(locks.whenFree(key, { signal: stop.signal }), 'store', 'closed', 'timeout')
        return
      }
      case 'query':
        return this.#query(chance.maybe(0.5) ? key : undefined)
      case 'forbidden':
        return this.#tryForbidden(key)
      case 'meddle':
        return this.#meddle(key)
      case 'reload':
        return this.#reload()
    }
  }

  /** Evicts silent holders by hand, as an operator may do. */
  async #expire(key: string): Promise<void> {
    const { locks } = this.#process
    await this.#tolerate(this.#mean('expire', key, locks).expire(key), 'store', 'closed', 'held', 'not-held')
  }

  /** Plays the operator who evicts silent holders in a process with manual expiry. */
  async oversee(): Promise<void> {
    if (this.#process.traits.options.expiry !== 'manual' || this.#overseeing) return
    this.#overseeing = true
    await Promise.all(keys.map((key) => this.#expire(key)))
    this.#overseeing = false
  }

  /** Records that a user wants this command to be sent. */
  #mean<Thing>(command: 'steal' | 'expire', key: string, thing: Thing): Thing {
    this.#process.meant.add(`${command} ${this.#process.keyOf(key)}`)
    return thing
  }

  async #query(key: string | undefined): Promise<void> {
    const { traits, locks } = this.#process
    const snapshot = await this.#tolerate(locks.query(key), 'store', 'closed')
    for (const { session, name } of [...(snapshot?.held ?? []), ...(snapshot?.pending ?? [])]) {
      const owner = this.#world.ledger.ownerOf(session)
      if (owner && owner.traits.options.namespace !== traits.options.namespace)
        this.#world.fail(`${this.#process.name} is shown ${name} of ${owner.name}, of another namespace`)
    }
  }

  /** Makes a request that the policy forbids. It must be refused at once, without a call to the store. */
  async #tryForbidden(key: string): Promise<void> {
    const { locks } = this.#process
    const long = 4 * this.#world.shape.duration
    const asked = this.#world.chance.maybe(0.5) ? locks.acquire(forbidden) : locks.acquire(key, { duration: long })
    const refused = await asked.then(
      () => false,
      ({ code }) => code === 'invalid' || code === 'closed',
    )
    if (!refused) this.#world.fail(`${this.#process.name} was not refused what its policy forbids`)
  }

  #isLimited(key: string): boolean {
    return key === limitedKey && this.#world.shape.limit !== undefined
  }

  /** The limit for a key that several may hold: nearly always the world's limit. */
  #claim(key: string): AcquireOptions {
    const { chance, shape } = this.#world
    if (!shape.limit || !this.#isLimited(key)) return {}
    const right = { mode: 'exclusive', limit: shape.limit } as const
    if (chance.maybe(0.97)) return right
    return chance.one<AcquireOptions>([{ ...right, limit: shape.limit + 1 }, { mode: 'shared' }, {}])
  }

  /** The extra errors of a request for a key with a limit. */
  #refusals(key: string): LockErrorCode[] {
    return this.#isLimited(key) ? ['invalid'] : []
  }

  #mode(): 'exclusive' | 'shared' {
    return this.#world.chance.maybe(0.25) ? 'shared' : 'exclusive'
  }

  #wish(key: string): AcquireOptions {
    const { chance } = this.#world
    const robs = chance.maybe(0.03) && !this.#isLimited(key)
    return {
      mode: this.#mode(),
      renew: chance.maybe(0.35) ? 'manual' : 'auto',
      ...(chance.maybe(0.4) && { timeout: 1 + chance.below(30_000) }),
      ...(chance.maybe(0.2) && { duration: chance.one([0.06, 0.5, 2.5]) * this.#world.shape.duration }),
      ...(chance.maybe(0.15) && { ask: this.#process.name }),
      ...(robs && this.#mean('steal', key, { mode: 'exclusive', ask: this.#process.name, steal: true, grace: chance.below(8_000) })),
    }
  }

  async #take(key: string, wish: AcquireOptions, most?: number): Promise<void> {
    const { chance } = this.#world
    const stop = chance.maybe(0.2) ? new AbortController() : undefined
    const enough = new LockError('timeout', 'enough')
    const onReleaseRequested = async (): Promise<void> => {
      this.#world.count('told', 'ask')
      await this.#process.sleep(chance.next() * 1_000)
      if (chance.maybe(0.5)) await this.#letGo(await asked)
    }
    const asked = this.#process.locks.acquire(key, {
      ...wish,
      ...(stop && { signal: stop.signal }),
      ...(chance.maybe(0.3) && { onReleaseRequested }),
    })
    this.#bound(asked, wish.timeout, `acquire ${key}`)
    if (stop) this.#process.sleep(chance.next() * 5_000).then(() => stop.abort(enough))
    const lock = await this.#tolerate(asked, 'store', 'closed', 'timeout', ...this.#refusals(key))
    if (!lock) return
    if (wish.renew !== 'manual') await this.#use(lock, most, (wish.duration ?? Infinity) < 20 * this.#process.traits.latency)
    else {
      this.#world.beliefs.got(this.#process, lock, true)
      await this.#work(lock, most)
      // Some users forget to release. Their lock ends by itself.
      if (chance.maybe(0.8)) await this.#letGo(lock)
    }
  }

  /** Uses a re-entrant lock, which several users in the process share. */
  async #share(key: string): Promise<void> {
    const { chance } = this.#world
    const lock = this.#process.locks.reentrant(`${key}`)
    const timeout = chance.maybe(0.5) ? chance.below(20_000) : undefined
    const patient = chance.maybe(0.6)
    // Another user tries at the same time, and at once releases what it gets.
    if (patient && chance.maybe(0.5))
      lock
        .tryAcquire()
        .then((guard) => guard?.release())
        .catch(() => {})
    const asked = patient ? lock.acquire(timeout === undefined ? {} : { timeout }) : lock.tryAcquire()
    if (patient) this.#bound(asked, timeout || undefined, `re-entrant acquire ${key}`)
    const guard = await this.#tolerate(asked, 'store', 'closed', 'timeout', 'held', ...this.#refusals(key))
    if (!guard) return
    this.#world.beliefs.got(this.#process, guard, false)
    if (chance.maybe(0.3)) return void this.#letGo(guard)
    const clone = chance.maybe(0.3) && guard.isHeld() ? guard.clone() : undefined
    await this.#work(guard)
    if (clone) await this.#letGo(clone)
    await this.#letGo(guard)
  }

  async #use(lock: HeldLock, most?: number, brief = false): Promise<void> {
    this.#world.beliefs.got(this.#process, lock, brief)
    await this.#work(lock, most)
    if (!this.#world.quiet && this.#world.chance.maybe(0.08)) {
      this.#kept.push(lock)
      await this.#renew(lock, 2 * this.#world.shape.duration)
    } else await this.#letGo(lock)
  }

  async #letGo(lock: Held): Promise<void> {
    await this.#tolerate(lock.release(), 'store')
    if (lock.isHeld()) this.#world.fail(`${this.#process.name} holds ${lock.key} ${lock.token} after its release`)
    // Sometimes code that does not know of the release writes once more.
    if (this.#world.chance.maybe(0.15)) await this.#write(lock, true)
  }

  async #work(lock: Held, most = 4_000): Promise<void> {
    const { chance } = this.#world
    for (let steps = chance.below(4); steps >= 0; steps--) {
      await this.#process.sleep((chance.next() ** 2 * (this.#world.quiet ? 500 : most)) / (steps + 1))
      const what = chance.weighted({ write: 5, 'write blindly': 2, renew: 2, look: 2 })
      if (what === 'look') lock.isHeld()
      else if (what !== 'renew') await this.#write(lock, what === 'write blindly')
      else if ('renew' in lock) await this.#renew(lock, chance.maybe(0.5) ? 2 * this.#world.shape.duration : undefined)
    }
  }

  async #renew(lock: HeldLock, duration: number | undefined): Promise<void> {
    this.#world.count('operations', 'renew')
    await this.#tolerate(lock.renew(duration), 'lost', 'not-held', 'store', 'closed')
  }

  /** Writes the data that the lock protects, in the store's transaction. `blindly`: without checking first that the lock is held. */
  async #write(lock: Held, blindly: boolean): Promise<void> {
    const process = this.#process
    if (!blindly && !lock.isHeld()) return
    this.#world.count('operations', blindly ? 'write blindly' : 'write')
    const { key, token } = lock
    const mode = 'mode' in lock ? lock.mode : 'exclusive'
    const { ledger } = this.#world
    // Counts with the token of the grant: within one grant, the writes of a context come in the order of its calls.
    const wrote = (): void => ledger.wrote(process, key, ledger.grantOf(key, token, lock.session) ?? token, mode)
    // Some users have a transaction of their own, perhaps under several locks.
    const others = blindly || this.#world.chance.maybe(0.7) ? undefined : this.#kept.slice(0, 1)
    const { link } = process
    const check = (tx: Tx): void => {
      for (const each of [lock, ...(others ?? [])]) link.check(tx, each)
    }
    await this.#tolerate(others ? link.begin(check, wrote) : link.transaction(lock, wrote), 'lost', 'not-held', 'store')
  }

  /** Sends commands about a lock of another session, as broken code may do. */
  async #meddle(name: string): Promise<void> {
    const { chance, store } = this.#world
    const key = this.#process.keyOf(name)
    const record = store.record(key)
    const holder = record && chance.one(record.holders)
    const run = record && chance.one(record.queue)
    const { session } = this.#process.locks
    const { link } = this.#process
    if (run && chance.maybe(0.3)) await this.#tolerate(link.apply([{ type: 'withdraw', key, session, number: 1_000_000 + run.from }]), 'store')
    else if (holder && holder.session !== session)
      await this.#tolerate(link.apply([{ type: chance.one(['release', 'renew']), key, session, token: holder.token }]), 'store')
  }

  async #reload(): Promise<void> {
    const process = this.#process
    const { link, locks } = process
    if (process.closing) return
    process.closing = true
    await locks.close()
    link.closed = true
    if (this.#world.beliefs.of(process).some((lock) => lock.isHeld())) this.#world.fail(`${process.name} holds locks though it was closed`)
    process.open()
  }

  /** Fails if a call waits longer than its timeout, by its own clock. */
  #bound(asked: Promise<unknown>, timeout: number | undefined, what: string): void {
    if (timeout === undefined) return
    let over = false
    const end = (): void => {
      over = true
    }
    asked.then(end, end)
    this.#process.sleep(timeout + 50).then(async () => {
      // A process that has just woken up first runs the tasks that it missed.
      await this.#process.sleep(50)
      if (!over) this.#world.fail(`${this.#process.name}: ${what} has not ended after its ${timeout} ms`)
    })
  }

  /** Ignores errors with these codes, which may happen in such a world. */
  async #tolerate<T>(done: Promise<T>, ...codes: (LockErrorCode | 'stolen')[]): Promise<T | undefined> {
    try {
      return await done
    } catch (error) {
      const code = error instanceof LockError ? error.code : error instanceof DOMException && error.name === 'AbortError' ? 'stolen' : undefined
      if (!code || !codes.includes(code)) throw error
      return undefined
    }
  }
}
