import type { Measure } from './figure.ts'
import { measures as inMemory } from './in-memory.ts'
import type { Role } from './processes.ts'
import { bareServer } from './server/bare.ts'
import { measures as httpHandoff } from './server/handoff.ts'
import { measures as idle } from './server/idle.ts'
import { lockServer } from './server/served.ts'
import { measures as throughput } from './server/throughput.ts'
import { measures as acquire } from './sqlite/acquire.ts'
import { measures as beat } from './sqlite/beat.ts'
import { competitor, measures as fairness } from './sqlite/fairness.ts'
import { measures as fence } from './sqlite/fence.ts'
import { measures as handoff, passer } from './sqlite/handoff.ts'
import { measures as keys } from './sqlite/keys.ts'
import { holder, measures as takeover } from './sqlite/takeover.ts'
import { crowd, measures as waiters } from './sqlite/waiters.ts'

/** What is measured on Node itself, in the order of the table. */
export const onNode: Record<string, Measure> = {
  ...{ ...acquire, ...keys, ...beat, ...fence },
  ...{ ...handoff, ...waiters, ...fairness, ...takeover },
  ...inMemory,
  ...{ ...throughput, ...httpHandoff, ...idle },
}

/** What else this program can be started as, by those measures. */
export const roles: Record<string, Role<never>> = { passer, crowd, competitor, holder, lockServer, bareServer }
