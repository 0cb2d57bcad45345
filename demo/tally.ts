import type { Half } from './half.ts'
import { type Audit, audit } from './ledger.ts'
import type { Incident } from './story.ts'

/** What happened to half of the writers. */
export interface Tally extends Audit {
  readonly title: string
  readonly grants: number
  /** Writes that their writers were told of. */
  readonly writes: number
  readonly incidents: readonly Incident[]
  /** From the end of one holder's write to the next waiter's grant, in ms; the median. */
  readonly handOff: number
  /** Locks that were lost and whose holders, told so, did not write. */
  readonly givenUp: number
  /** What writers complained of, and why the story broke off if it did. */
  readonly failures: readonly string[]
}

export async function tally(half: Half, incidents: readonly Incident[], interruption?: string): Promise<Tally> {
  const { log } = half
  const writes = log.of('wrote')
  const failures = log.of('failed').map(({ writer, message }) => `${writer}: ${message}`)
  if (interruption !== undefined) failures.push(interruption)
  return {
    title: half.title,
    grants: log.of('granted').length,
    writes: writes.length,
    incidents,
    handOff: median(handOffs(half)),
    givenUp: log.of('lost').length,
    failures,
    ...audit(await half.entries(), writes),
  }
}

/** Of those grants that somebody was already waiting for when the lock was released. */
function handOffs({ log }: Half): number[] {
  const grants = log.of('granted').sort((a, b) => a.token - b.token)
  const releases = new Map(log.of('wrote').map(({ token, at }) => [token, at]))
  const waits = log.of('waiting')
  return grants.flatMap((grant, index) => {
    const released = releases.get(grants[index - 1]?.token ?? 0)
    const waited = waits.findLast(({ writer, at }) => writer === grant.writer && at <= grant.at)
    return released !== undefined && waited !== undefined && waited.at < released ? [grant.at - released] : []
  })
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

/** What went wrong, in words; nothing if all went well. */
export function faults({ title, lost, outOfOrder, failures }: Tally): string[] {
  const found = [...failures]
  if (lost > 0) found.unshift(`${lost} acknowledged writes are not in the ledger`)
  if (outOfOrder > 0) found.unshift(`${outOfOrder} tokens do not rise`)
  return found.map((fault) => `${title}: ${fault}`)
}

const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0)

export function conclusion(tallies: readonly Tally[]): string[] {
  const lost = total(tallies.map((each) => each.lost))
  return [...tallies.flatMap(faults), `writes lost: ${lost}, of ${total(tallies.map(({ writes }) => writes))} that were acknowledged`]
}

const seconds = ({ at, over }: Incident) => `${((over - at) / 1_000).toFixed(2)} s`

/** The tallies side by side, as lines of text. */
export function table(tallies: readonly Tally[]): string[] {
  const row = (name: string, cell: (tally: Tally) => string | number) =>
    name.padEnd(36) + tallies.map((each) => String(cell(each)).padStart(20)).join('')
  return [
    row('', ({ title }) => title),
    row('grants', ({ grants }) => grants),
    row('writes acknowledged', ({ writes }) => writes),
    row('take-overs from silent holders', ({ incidents }) => incidents.length),
    row('  each after', ({ incidents }) => incidents.map(seconds).join(', ')),
    row('locks lost, told, and not written', ({ givenUp }) => givenUp),
    row('hand-off to the next waiter, median', ({ handOff }) => `${handOff.toFixed(1)} ms`),
    row('tokens out of order', ({ outOfOrder }) => outOfOrder),
    row('writes lost', ({ lost }) => lost),
  ]
}
