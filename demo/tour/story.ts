import type { Cast } from './cast.ts'
import type { Log } from './log.ts'

/** How many fenced writes each worker makes between two scenes. */
const writesEach = 2

/** Which worker plays which part. The victim crashes and does not come back. */
export interface Parts {
  readonly keeper: string
  readonly rival: string
  readonly hanger: string
  readonly victim: string
}

export interface Scenes {
  /** The time after which no scene begins, in ms of `performance.now()`: on a machine that is too busy there are fewer scenes. */
  readonly until: number
  /** Takes a picture, at the end of a scene. */
  readonly picture?: (name: string) => Promise<void>
  /** Scenes that only this cast can play. */
  readonly extras?: readonly Scene[]
}

interface Scene {
  readonly name: string
  play(survivors: readonly string[]): Promise<void>
}

/** Directs one cast through everything that can happen to a lock. Waits for reports of the workers, never for a fixed time. */
export async function story(cast: Cast, log: Log, { keeper, rival, hanger, victim }: Parts, { until, picture, extras = [] }: Scenes): Promise<void> {
  const survivors = cast.names.filter((name) => name !== victim)
  const keep = async (name: string) => {
    const keeps = log.of(name, 'keeps')
    cast.order(name, 'hold')
    await keeps
  }
  /** The rival wants the lock of the keeper, and the keeper learns of it. */
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
        // On a machine that is too busy, the victim may have lost the lock just before.
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

/** Makes a worker hang with the lock until another has it, and come back too late. */
export async function hang(cast: Cast, log: Log, name: string): Promise<void> {
  const replaced = takeOver(log, name)
  const refused = log.of(name, 'refused')
  refused.catch(() => {})
  replaced.catch(() => {})
  cast.order(name, 'hang')
  // A worker that hangs by being busy goes on by itself, even if no other was fast enough to take over.
  await Promise.race([replaced, refused])
  const others = cast.names.filter((other) => other !== name && !log.history.lanes.get(other)?.gone)
  await writes(log, others)
  await cast.wake(name)
  await refused
}

const takeOver = (log: Log, from: string) => log.next(`someone to take over from ${from}`, (step) => step.takeOver?.from === from)

/** Resolves when each of these workers has made some more fenced writes. */
export async function writes(log: Log, names: readonly string[]): Promise<void> {
  const made = new Map<string, number>()
  await log.next(`writes of ${names.join(', ')}`, ({ report }) => {
    if (report.type === 'wrote' && report.mode === 'fenced') made.set(report.worker, (made.get(report.worker) ?? 0) + 1)
    return names.every((name) => (made.get(name) ?? 0) >= writesEach)
  })
}
