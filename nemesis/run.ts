import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { root } from '../bench/bundle.ts'
import type { Arena, OpenArena } from './arena.ts'
import { attack, type Tally } from './attack.ts'
import { check, checkChain, type Kind, unfencedKinds, type Violation } from './check.ts'
import { byKey, type Final, type History, historyOf, lifeOf } from './history.ts'
import type { Overlap } from './overlap.ts'
import { seeded } from './random.ts'
import { completed } from './wiped.ts'

/** How long the unfenced control may try to lose an update, in ms. It takes about 20 s on SQLite, since a fault may keep everybody from writing. */
const longestControl = 240_000

const plainControl = { names: ['unfenced', 'fenced'], kinds: unfencedKinds } as const

/** The result of a run, with its writes counted. */
export interface Result {
  readonly fenced: boolean
  readonly name: string
  /** The violations that are allowed, if this is a control. */
  readonly excused: readonly Kind[]
  /** In ms. */
  readonly took: number
  readonly acknowledged: number
  readonly ambiguous: number
  /** How many of the ambiguous ones were written. */
  readonly ambiguousWritten: number
  readonly refused: number
  /** How many of the refused ones only the store could refuse. */
  readonly refusedBlind: number
  readonly grants: number
  readonly faults: Tally
  readonly lost: number
  readonly overlap: Overlap
  /** How many lives the store had: one more than the times it was wiped. */
  readonly lives: number
  readonly violations: readonly Violation[]
  /** Other errors, and how often each happened. */
  readonly troubles: Record<string, number>
}

export interface Plan {
  readonly open: OpenArena
  readonly fenced: boolean
  /** In ms. The control ends as soon as an update is lost. */
  readonly time: number
  /** The mean time from one fault to the next in the fenced run, in ms. */
  readonly every: number
  readonly seed: number
  readonly log: (line: string) => void
  /** Ends the run early and cleans up. */
  readonly signal?: AbortSignal | undefined
}

/** Lets workers write while faults happen, then checks their records against the store. */
async function run({ open, fenced, time, every, seed, log, signal }: Plan): Promise<Result> {
  const parent = join(root, 'out', 'nemesis')
  await mkdir(parent, { recursive: true })
  const folder = await mkdtemp(join(parent, 'run-'))
  let arena: Arena | undefined
  let keep = false
  try {
    arena = await open({ folder, fenced, seed, log })
    const { faults, took, unsettled } = await fight(arena, { fenced, time, every, seed, log, signal })
    const [stored, notes] = [await arena.final(), await arena.notes()]
    // If the check throws, the history is kept too.
    keep = fenced
    const history = historyOf(notes)
    const final = completed(history, stored)
    const { lost, overlap, violations: found } = check(history, final, arena.allowed)
    const violations = [...found, ...unsettled.map((worker): Violation => ({ kind: 'unsettled', text: `a call of ${worker}` }))]
    keep = fenced && violations.length > 0
    if (keep) {
      await writeFile(join(folder, 'history.json'), JSON.stringify({ seed, violations, stored, notes }))
      log(`what the workers noted and wrote is kept in ${folder}`)
    }
    const { names, kinds } = arena.control ?? plainControl
    const [name, excused] = fenced ? [names[1], []] : [names[0], kinds]
    return { fenced, name, excused, took, ...counts(history, final), faults, lost, overlap, violations }
  } finally {
    await arena?.close()
    if (!keep) await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  }
}

/** Runs the control first, and then the fenced run. */
export async function runBoth(plan: Omit<Plan, 'fenced'>): Promise<{ control: Result; fenced: Result }> {
  const control = await run({ ...plan, fenced: false, time: longestControl })
  return { control, fenced: await run({ ...plan, fenced: true }) }
}

/** Describes what is wrong with the two runs together. Empty if the fence held. */
export function faultsOf(control: Result, fenced: Result): string[] {
  const found = fenced.violations.map(({ kind, text }) => `fenced: ${kind}: ${text}`)
  for (const { kind, text } of control.violations) if (!control.excused.includes(kind)) found.push(`control: ${kind}: ${text}`)
  if (!control.lost) found.push('the control lost no update, so the fenced run proves nothing')
  if (!fenced.acknowledged) found.push('no fenced write was acknowledged')
  return found
}

async function fight(
  arena: Arena,
  { fenced, time, every, seed, log, signal }: Omit<Plan, 'open'>,
): Promise<{ faults: Tally; took: number; unsettled: string[] }> {
  const faults: Tally = {}
  const over = new AbortController()
  const began = performance.now()
  // Without a fence, an update is lost once a holder hangs for so long that another worker writes meanwhile. Longer faults make sure of that.
  const [pause, leases] = fenced ? [every, [1, 3] as const] : [500, [2, 5] as const]
  const attacking = attack(arena, { every: pause, leases, random: seeded(seed), tally: faults }, over.signal)
  try {
    for (let told = 0; performance.now() - began < time; ) {
      signal?.throwIfAborted()
      await Promise.race([sleep(500), arena.failed, attacking])
      const passed = performance.now() - began
      if (!fenced && (arena.control?.hasLost() ?? hasLost(await arena.final()))) break
      if (passed - told < 5_000) continue
      told = passed
      const happened = Object.values(faults).reduce((sum, count) => sum + count, 0)
      log(`${fenced ? 'fenced' : 'control'} ${Math.round(passed / 1_000)} s: ${await arena.written()} writes, ${happened} faults`)
    }
  } finally {
    over.abort()
    await attacking
  }
  const unsettled = await arena.finish()
  return { faults, took: performance.now() - began, unsettled }
}

const hasLost = ({ log }: Final): boolean => [...byKey(log).values()].some((writes) => checkChain(writes) > 0)

function counts({ operations, grants, troubles }: History, { log }: Final) {
  const written = new Set(log.map(({ id }) => id))
  const all = [...operations.values()]
  const ended = (how: string) => all.filter(({ end }) => end === how)
  const ambiguous = ended('ambiguous')
  const refused = ended('refused')
  return {
    acknowledged: ended('acknowledged').length,
    ambiguous: ambiguous.length,
    ambiguousWritten: ambiguous.filter(({ write }) => written.has(write.id)).length,
    refused: refused.length,
    refusedBlind: refused.filter(({ blind }) => blind).length,
    grants: grants.length,
    lives: new Set(grants.map(({ key }) => lifeOf(key))).size,
    troubles: Object.fromEntries(troubles),
  }
}
