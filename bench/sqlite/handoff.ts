import { setTimeout as sleep } from 'node:timers/promises'
import { distribution, figure, type Measure } from '../figure.ts'
import { inFolder } from '../folder.ts'
import { betweenProcesses, ofOtherMachines, type PeerName, present } from '../peers/between-processes.ts'
import type { Locker, Peer, Place } from '../peers/peer.ts'
import { type Line, now, type Role, start } from '../processes.ts'
import { median, type Progress, percentile } from '../rounds.ts'
import { withServers } from '../servers.ts'

/** The first round is thrown away, so that compiled code is measured. */
const rounds = 11
const limit = 400
const limitP99 = 2_000

/** The peers, each with the target for our hand-off as a share of the peer's. */
const targets: readonly (readonly [PeerName, number?])[] = [
  ['byte', 4],
  ['byteAndWrites'],
  ['postgres', 1],
  ['lockfileTight', 1 / 2],
  ['lockfileDefault', 1 / 500],
  ['redlockTight'],
  ['redlockDefault'],
]

/** Measures each peer in turn. @returns the times of its hand-offs between two processes, in µs */
export async function measureHandoffs(
  place: Omit<PasserPlace, 'names'>,
  names: readonly PeerName[],
  progress: Progress,
): Promise<Map<PeerName, number[]>> {
  const other = await start('passer', { ...place, names })
  const lockers = await openAll({ ...place, first: true }, names)
  const times = new Map(names.map((name): [PeerName, number[]] => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const [index, name] of names.entries()) {
      const turns = turnsOf(betweenProcesses[name])
      other.say('pass', name)
      const mine = await pass(lockers.get(name) as Locker, betweenProcesses[name], turns, true, other)
      const theirs = await other.hear<Turn[]>('turns')
      if (round) times.get(name)?.push(...handoffs(mine, theirs))
      progress((round + (index + 1) / names.length) / rounds)
    }
  }
  for (const locker of lockers.values()) await locker.close()
  await other.end()
  return times
}

export const measures: Record<string, Measure> = {
  'sqlite.handoff': (progress, draw) =>
    inFolder((folder) =>
      withServers(async (servers) => {
        const names = present(Object.keys(betweenProcesses) as PeerName[], servers).filter((name) => !ofOtherMachines.includes(name))
        const times = await measureHandoffs({ folder, servers }, names, progress)
        const of = (name: PeerName): number[] => times.get(name) ?? []
        for (const name of names) if (name !== 'byteAndWrites') draw(distribution('handoff', betweenProcesses[name].title, of(name)))
        const [ours, byte, publish] = [of('ours'), of('byte'), of('publish')]
        const n = ours.length
        return [
          figure('sqlite.handoff', 'µs', median(ours), 'the limit', limit, n, 1),
          figure('sqlite.handoff p99', 'µs', percentile(ours, 0.99), 'the limit', limitP99, n, 1),
          ...targets
            .filter(([name]) => names.includes(name))
            .map(([name, target]) =>
              figure('sqlite.handoff', 'µs', median(ours), betweenProcesses[name].title, median(of(name)), Math.min(n, of(name).length), target),
            ),
          figure('channel.publish', 'µs', median(publish), betweenProcesses.byte.title, median(byte), n),
          figure('channel.publish p99', 'µs', percentile(publish, 0.99), 'p99 of that byte', percentile(byte, 0.99), n),
        ]
      }),
    ),
}

interface PasserPlace extends Omit<Place, 'first'> {
  readonly names: readonly PeerName[]
}

/** The second of the two processes: takes its turns with the peer that it is told. */
export const passer: Role<PasserPlace> = async (place, starter) => {
  const lockers = await openAll({ ...place, first: false }, place.names)
  starter.on<PeerName>('pass', async (name) => {
    const turns = turnsOf(betweenProcesses[name])
    starter.say('turns', await pass(lockers.get(name) as Locker, betweenProcesses[name], turns, false, starter))
  })
  return async () => {
    for (const locker of lockers.values()) await locker.close()
  }
}

async function openAll(place: Place, names: readonly PeerName[]): Promise<Map<PeerName, Locker>> {
  const lockers = new Map<PeerName, Locker>()
  for (const name of names) lockers.set(name, await betweenProcesses[name].open(place))
  return lockers
}

const turnsOf = ({ handoffs }: Peer): number => handoffs / 2

/** When the lock was granted and released, in µs. */
interface Turn {
  readonly got: number
  readonly released: number
}

/** Takes turns with the other process: each requests while the other holds, and is granted when the other releases. */
async function pass(locker: Locker, { held: [from, to] }: Peer, turns: number, first: boolean, other: Line): Promise<Turn[]> {
  const taken: Turn[] = []
  for (let turn = 0; turn < turns; turn++) {
    const alone = first && turn === 0
    if (!alone) await other.hear('mine')
    const asked = locker.acquire()
    if (!alone) setImmediate(() => other.say('asking'))
    const release = await asked
    const got = now()
    const wanted = first || turn < turns - 1
    if (wanted) {
      other.say('mine')
      await other.hear('asking')
    }
    await sleep(from + Math.random() * (to - from))
    const released = now()
    const gone = release()
    taken.push({ got, released })
    await gone
  }
  return taken
}

/** The times between one process's release and the other's grant. */
function handoffs(mine: readonly Turn[], theirs: readonly Turn[]): number[] {
  const inTurn = mine.flatMap((turn, index) => [turn, theirs[index] as Turn])
  return inTurn.slice(1).map(({ got }, index) => got - (inTurn[index] as Turn).released)
}
