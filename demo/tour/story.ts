import type { Cast } from './cast.ts'
import type { Log } from './log.ts'

/** How many fenced writes each worker makes between two scenes. */
const writesEach = 2

/** Who plays which part: the worker that crashes does not come back. */
export interface Parts {
  readonly keeper: string
  readonly rival: string
  readonly hanger: string
  readonly victim: string
}

export interface Scenes {
  /** When to begin no more scenes, in ms of `performance.now()`: a machine that is too busy sees fewer of them. */
  readonly until: number
  /** Takes a picture, at the end of a scene. */
  readonly picture?: (name: string) => Promise<void>
  /** What only this cast can suffer, each with its name. */
  readonly extras?: readonly Scene[]
}

interface Scene {
  readonly name: string
  play(survivors: readonly string[]): Promise<void>
}

/** Directs one cast through all that can happen to a lock. Waits for what the workers tell, never for a while. */
export async function story(cast: Cast, log: Log, { keeper, rival, hanger, victim }: Parts, { until, picture, extras = [] }: Scenes): Promise<void> {
  const survivors = cast.names.filter((name) => name !== victim)
  const keep = async (name: string) => {
    const keeps = log.of(name, 'keeps')
    cast.order(name, 'hold')
    await keeps
  }
  /** The rival wants the lock of the keeper, which hears of it. */
  const wants = async (order: 'steal' | 'ask', heard: 'lost' | 'asked') => {
    await keep(keeper)
    const told = log.of(keeper, heard)
    cast.order(rival, order)
    await told
  }

  log.say({ text: `${cast.names.length} ${cast.title}: each counts by itself without a lock, and under the lock with a lease only and fenced.` })
  const began = writes(log, cast.names)
  for (const name of cast.names) cast.order(name, 'start')
  await began
  await picture?.('counting')
  await hang(cast, log, hanger)
  await picture?.('refused')

  const scenes: Scene[] = [
    {
      name: 'a worker that crashes',
      async play() {
        await keep(victim)
        const replaced = takeOver(log, victim)
        replaced.catch(() => {})
        await cast.crash(victim)
        // A machine that is too busy may have let it lose the lock just before.
        if (log.history.holder === victim) await replaced
        await picture?.('crashed')
      },
    },
    { name: 'one that steals the lock', play: () => wants('steal', 'lost') },
    { name: 'one that asks for it', play: () => wants('ask', 'asked') },
    { name: 'a clock that is set', play: async () => cast.order(keeper, 'clock') },
    ...extras,
  ]
  for (const { name, play } of scenes) {
    if (performance.now() > until) {
      log.say({ text: `Left out, for this machine is too busy: ${name}.` })
      continue
    }
    const here = cast.names.filter((each) => !log.history.lanes.get(each)?.gone)
    await play(here)
    await writes(
      log,
      here.filter((each) => !log.history.lanes.get(each)?.gone),
    )
  }

  const rests = survivors.filter((name) => !log.history.lanes.get(name)?.gone).map((name) => log.of(name, 'rests'))
  for (const name of cast.names) cast.order(name, 'finish')
  await Promise.all(rests)
}

/** Lets a worker stand still with the lock until others have it, and come back too late. */
export async function hang(cast: Cast, log: Log, name: string): Promise<void> {
  const replaced = takeOver(log, name)
  const refused = log.of(name, 'refused')
  refused.catch(() => {})
  replaced.catch(() => {})
  cast.order(name, 'hang')
  // A busy worker goes on by itself, even if all others were too slow to take over.
  await Promise.race([replaced, refused])
  const others = cast.names.filter((other) => other !== name && !log.history.lanes.get(other)?.gone)
  await writes(log, others)
  await cast.wake(name)
  await refused
}

const takeOver = (log: Log, from: string) => log.next(`someone to take over from ${from}`, (step) => step.takeOver?.from === from)

/** Resolves when each of these has made some fenced writes from now on. */
export async function writes(log: Log, names: readonly string[]): Promise<void> {
  const made = new Map<string, number>()
  await log.next(`writes of ${names.join(', ')}`, ({ report }) => {
    if (report.type === 'wrote' && report.mode === 'fenced') made.set(report.worker, (made.get(report.worker) ?? 0) + 1)
    return names.every((name) => (made.get(name) ?? 0) >= writesEach)
  })
}
