import { webLocksBeacon } from '../src/beacons/web-locks.ts'
import { type Command, type Fenced, LockError, type LockView, type Outcome, type SessionRow } from '../src/protocol/index.ts'
import type { Beacon, Channel, FencedStore } from '../src/store.ts'
import { channelOf } from './channels.ts'
import type { Process } from './parts.ts'
import { lockManagerOf } from './tabs.ts'

/** How a process's store treats its calls. `mixed` does a bit of everything. */
export type Weather = 'fine' | 'slow' | 'failing' | 'losing' | 'hanging' | 'doubling' | 'mixed'
type Fate = 'deliver' | 'fail' | 'lose' | 'hang' | 'hang after' | 'late' | 'late reply' | 'late loss' | 'late commit' | 'double'

const fates: Readonly<Record<Weather, Readonly<Partial<Record<Fate, number>>>>> = {
  fine: { deliver: 1 },
  slow: { deliver: 2, late: 4, 'late reply': 4, 'late loss': 1 },
  failing: { deliver: 1, fail: 8 },
  losing: { deliver: 1, lose: 5, 'late loss': 4, 'late commit': 4 },
  hanging: { deliver: 1, hang: 3, 'hang after': 3 },
  doubling: { deliver: 1, double: 3 },
  mixed: { deliver: 12, fail: 2, lose: 2, hang: 1, 'hang after': 1, late: 2, 'late reply': 2, 'late loss': 1, 'late commit': 1, double: 2 },
}

/** A transaction of the user's own. The store must still name these locks when it commits. */
export interface Tx {
  readonly locks: Fenced[]
}

/** The work of a call in the store. */
interface Act<T> {
  /** Does the work, in one step. */
  readonly run: () => T
  /** Whether the work may still be done after the call was rejected. */
  readonly comesLate?: boolean | undefined
}

/** A process's connection to the store, to the other processes and to their beacons. Every call on it takes time and may fail. */
export class Link implements FencedStore<Tx> {
  readonly channel: Channel | undefined
  readonly beacon: Beacon | undefined
  readonly spansMachines: boolean
  weather: Weather = 'fine'
  /** Set once `locks.close()` has finished. After that no beat may follow. */
  closed = false
  readonly #process: Process
  readonly #losers = new Set<(why: string) => void>()
  #torn = (): void => {}

  constructor(process: Process) {
    this.#process = process
    const { world, traits } = process
    this.spansMachines = world.shape.machines > 1
    this.channel = traits.channel === 'none' ? undefined : channelOf(process)
    const raiser = world.shape.kind === 'tabs' ? this.#webLocks() : world.beacons.of(process)
    this.beacon = traits.beacon ? raiser : undefined
  }

  #webLocks(): Beacon {
    const { clock } = this.#process
    const beacon = webLocksBeacon('sim', lockManagerOf(this.#process), () => {}, { channel: this.channel, ...clock })
    this.#torn = () => beacon.doubt()
    return beacon
  }

  /** The browser closes the database, because its storage was cleared. */
  tear(): void {
    this.#torn()
    for (const end of [...this.#losers]) end('its database was closed')
  }

  onLost(listener: (why: string) => void): () => void {
    this.#losers.add(listener)
    return () => this.#losers.delete(listener)
  }

  apply(commands: readonly Command[]): Promise<Outcome[]> {
    const process = this.#process
    const { ledger } = process.world
    if (this.closed && commands.some(({ type }) => type === 'beat')) ledger.violated(`${process.name} beats though it was closed`)
    return this.#call(() => commands.map(tell).join(', '), {
      run: () => ledger.apply(process, structuredClone(commands)),
      // The contract forbids this for requests and pins: if the caller has given up by then, they would stay for ever.
      comesLate: commands.every(({ type }) => type !== 'request' && type !== 'pin'),
    })
  }

  read(key: string, reader?: string): Promise<LockView | undefined> {
    return this.#call(() => `read ${key}`, { run: () => this.#process.world.store.read(key, reader) })
  }

  rows(sessions: readonly string[]): Promise<Map<string, SessionRow>> {
    return this.#call(() => 'rows', { run: () => this.#process.world.store.rows(sessions) })
  }

  list(prefix?: string): Promise<LockView[]> {
    return this.#call(() => 'list', { run: () => this.#process.world.store.list(prefix) })
  }

  check({ locks }: Tx, lock: Fenced): void {
    lock.assertHeld()
    locks.push(lock)
  }

  /** Does not check the lock here, as if the process had stopped between its check and the write. Only the store checks the write. */
  transaction<T>(lock: Fenced, body: (tx: Tx) => T): Promise<Awaited<T>> {
    const locks = [lock]
    return this.#commit(locks, () => body({ locks }))
  }

  /** Runs a transaction of the user's own: calls `prepare` now, and `write` at the commit. */
  async begin(prepare: (tx: Tx) => void, write: () => void): Promise<void> {
    const locks: Fenced[] = []
    prepare({ locks })
    await this.#commit(locks, write)
  }

  #commit<T>(locks: readonly Fenced[], body: () => T): Promise<Awaited<T>> {
    let result: T
    const write = (): void => {
      result = body()
    }
    const run = (): Awaited<T> => {
      this.#process.world.store.write(locks, write)
      return result as Awaited<T>
    }
    return this.#call(() => `write ${locks.map(({ key, token }) => `${key} with ${token}`).join(', ')}`, { run })
  }

  async close(): Promise<void> {}

  #call<T>(what: () => string, { run, comesLate = true }: Act<T>): Promise<T> {
    const process = this.#process
    const { world } = process
    const { chance } = world
    return new Promise((resolve, reject) => {
      process.leave(() => {
        const drawn = chance.weighted<Fate>(fates[this.weather] as Record<Fate, number>)
        const fate = drawn === 'late commit' && !comesLate ? 'late loss' : drawn
        if (fate !== 'deliver') this.#struck(fate)
        process.log(() => `${what()}${fate === 'deliver' ? '' : ` (${fate})`}`)
        const error = new LockError('store', 'disk I/O error')
        const back = (settle: () => void): void => void this.#later(() => process.enter(settle))
        const late = (go: () => void): void => {
          const ms = chance.between(0, 2) * world.shape.duration
          process.trouble(ms)
          world.timeline.after(ms, go)
        }
        /** A message may still arrive after its sender has died. */
        const arrive = (after: (settle: () => void) => void): void => {
          if (process.dead && chance.maybe(0.5)) return
          let value: T
          try {
            value = run()
          } catch (refusal) {
            after(() => reject(refusal))
            return
          }
          after(() => {
            process.log(() => `… ${what()}: ${describe(value)}`)
            resolve(value)
          })
        }
        switch (fate) {
          case 'deliver':
            return this.#later(() => arrive(back))
          case 'fail':
            return back(() => reject(error))
          case 'lose':
            return this.#later(() => arrive(() => back(() => reject(error))))
          case 'hang':
            return world.hangs(process, () => back(() => reject(error)))
          case 'hang after':
            return this.#later(() => arrive((settle) => world.hangs(process, () => back(settle))))
          case 'late':
            return late(() => arrive(back))
          case 'late reply':
            return this.#later(() => arrive((settle) => late(() => back(settle))))
          case 'late loss':
            return this.#later(() => arrive(() => late(() => back(() => reject(error)))))
          case 'late commit':
            back(() => reject(error))
            return late(() => arrive(() => {}))
          case 'double':
            this.#later(() => arrive(() => {}))
            return late(() => arrive(back))
        }
      })
    })
  }

  #struck(fate: Fate): void {
    this.#process.world.count('faults', `store: ${fate}`)
    this.#process.trouble(this.#process.traits.latency)
  }

  #later(run: () => void): void {
    const { world, traits } = this.#process
    world.timeline.after(world.chance.next() * traits.latency, run)
  }
}

function tell(command: Command): string {
  const { type } = command
  const about = 'key' in command ? ` ${command.key}` : ''
  const details =
    'number' in command
      ? ` #${command.number}`
      : 'token' in command
        ? ` ${command.token}`
        : 'evidence' in command
          ? ` ${JSON.stringify(command.evidence)}`
          : ''
  return `${type}${about}${'session' in command && command.session ? ` by ${command.session}` : ''}${details}`
}

function describe(value: unknown): string {
  if (!Array.isArray(value)) return value && typeof value === 'object' && 'holders' in value ? show(value as LockView) : 'done'
  return (value as Outcome[])
    .map((outcome) => {
      const reason = outcome.type === 'refused' ? ` (${outcome.reason})` : ''
      return `${outcome.type}${reason}${'record' in outcome ? ` ${show(outcome.record)}` : ''}`
    })
    .join(', ')
}

/** A record in short: its holders with their tokens, and its waiters. */
function show({ holders, queue }: LockView): string {
  const held = holders.map(
    ({ session, token, seq, unconfirmed }) => `${session}:${token}${seq === undefined ? '' : `/${seq}`}${unconfirmed ? '?' : ''}`,
  )
  const waiting = queue.map(({ session, from, to }) => `${session}#${from}${to > from ? `-${to}` : ''}`)
  return `[${held.join(' ')}${waiting.length ? ` | ${waiting.join(' ')}` : ''}]`
}
