import { type Command, type Fenced, LockError, type LockView, type Outcome } from '../src/protocol/index.ts'
import type { Beacon, Channel, FencedStore } from '../src/store.ts'
import type { Process } from './process.ts'

/** What a process's store does to each of its calls; `mixed` does a bit of all. */
export type Weather = 'fine' | 'slow' | 'failing' | 'losing' | 'hanging' | 'doubling' | 'mixed'
type Fate = 'deliver' | 'fail' | 'lose' | 'hang' | 'hang after' | 'late' | 'late reply' | 'late loss' | 'double'

const fates: Readonly<Record<Weather, Readonly<Partial<Record<Fate, number>>>>> = {
  fine: { deliver: 1 },
  slow: { deliver: 2, late: 4, 'late reply': 4, 'late loss': 1 },
  failing: { deliver: 1, fail: 8 },
  losing: { deliver: 1, lose: 5, 'late loss': 4 },
  hanging: { deliver: 1, hang: 3, 'hang after': 3 },
  doubling: { deliver: 1, double: 3 },
  mixed: { deliver: 12, fail: 2, lose: 2, hang: 1, 'hang after': 1, late: 2, 'late reply': 2, 'late loss': 1, double: 2 },
}

/** One process's connection to the store, to the others and to their beacons; everything on it takes time and may go wrong. */
export class Link implements FencedStore<undefined> {
  readonly channel: Channel | undefined
  readonly beacon: Beacon | undefined
  readonly spansMachines: boolean
  weather: Weather = 'fine'
  /** Set once `locks.close()` has come to its end: no beat may follow. */
  closed = false
  readonly #process: Process

  constructor(process: Process) {
    this.#process = process
    const { world, traits } = process
    this.spansMachines = world.shape.machines > 1
    this.channel = traits.channel
      ? {
          publish: (topic, message) => process.leave(() => world.air.publish(topic, message)),
          subscribe: (topic, listener) => world.air.subscribe(topic, process, listener),
        }
      : undefined
    this.beacon = traits.beacon
      ? {
          raise: (session) =>
            new Promise((resolve) =>
              process.leave(() => {
                const raised = world.beacons.raise(session, process)
                this.#later(() => process.enter(() => resolve(raised)))
              }),
            ),
          watch: (address, signal) => world.beacons.watch(address, process, signal),
        }
      : undefined
  }

  apply(commands: readonly Command[]): Promise<Outcome[]> {
    const process = this.#process
    const { ledger } = process.world
    if (this.closed && commands.some(({ type }) => type === 'beat')) ledger.violated(`${process.name} beats though it was closed`)
    return this.#call(
      () => commands.map(tell).join(', '),
      () => ledger.apply(process, structuredClone(commands)),
    )
  }

  read(key: string): Promise<LockView | undefined> {
    return this.#call(
      () => `read ${key}`,
      () => this.#process.world.store.read(key),
    )
  }

  list(prefix?: string): Promise<LockView[]> {
    return this.#call(
      () => 'list',
      () => this.#process.world.store.list(prefix),
    )
  }

  check(): never {
    throw new Error('a transaction of the user’s own is not simulated')
  }

  /** As a process that stops between its own check and the write: the store alone judges the write when it arrives. */
  transaction<T>(lock: Fenced, body: (tx: undefined) => T): Promise<Awaited<T>> {
    return this.#call(
      () => `write ${lock.key} with ${lock.token}`,
      () => {
        let result: T | undefined
        this.#process.world.store.write(lock, () => {
          result = body(undefined)
        })
        return result as Awaited<T>
      },
    )
  }

  async close(): Promise<void> {}

  #call<T>(what: () => string, act: () => T): Promise<T> {
    const process = this.#process
    const { world } = process
    const { chance } = world
    return new Promise((resolve, reject) => {
      process.leave(() => {
        const fate = chance.weighted<Fate>(fates[this.weather] as Record<Fate, number>)
        if (fate !== 'deliver') this.#struck(fate)
        process.log(() => `${what()}${fate === 'deliver' ? '' : ` (${fate})`}`)
        const error = new LockError('store', 'disk I/O error')
        const back = (settle: () => void): void => void this.#later(() => process.enter(settle))
        const late = (go: () => void): void => {
          const ms = chance.between(0, 2) * world.shape.duration
          process.trouble(ms)
          world.timeline.after(ms, go)
        }
        /** What was on its way when its sender died may still arrive. */
        const arrive = (after: (settle: () => void) => void): void => {
          if (process.dead && chance.maybe(0.5)) return
          let value: T
          try {
            value = act()
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

/** A record, briefly: who holds it with which token, and who waits. */
function show({ holders, queue }: LockView): string {
  const held = holders.map(
    ({ session, token, seq, unconfirmed }) => `${session}:${token}${seq === undefined ? '' : `/${seq}`}${unconfirmed ? '?' : ''}`,
  )
  const waiting = queue.map(({ session, from, to }) => `${session}#${from}${to > from ? `-${to}` : ''}`)
  return `[${held.join(' ')}${waiting.length ? ` | ${waiting.join(' ')}` : ''}]`
}
