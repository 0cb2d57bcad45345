import { crowd } from './crowds.ts'
import type { Measure } from './figure.ts'
import { measures as inMemory } from './in-memory.ts'
import { measures as postgres } from './postgres/figures.ts'
import type { Role } from './processes.ts'
import { measures as serverCosts } from './remote/costs.ts'
import { measures as durability } from './remote/durability.ts'
import { measures as redisAndEtcd } from './remote/figures.ts'
import { measures as growth } from './remote/waiters.ts'
import { measures as acquire } from './sqlite/acquire.ts'
import { measures as beat } from './sqlite/beat.ts'
import { competitor, measures as fairness } from './sqlite/fairness.ts'
import { measures as fence } from './sqlite/fence.ts'
import { measures as handoff, passer } from './sqlite/handoff.ts'
import { measures as keys } from './sqlite/keys.ts'
import { holder, measures as takeover } from './sqlite/takeover.ts'
import { measures as waiters } from './sqlite/waiters.ts'

/** The figures that are measured on Node, in the order of the table. The lock server has its own program, which loads much more code. */
export const measures: Record<string, Measure> = {
  ...{ ...acquire, ...keys, ...beat, ...fence },
  ...{ ...handoff, ...waiters, ...fairness, ...takeover },
  ...inMemory,
  ...postgres,
  ...redisAndEtcd,
  ...growth,
  ...durability,
  ...serverCosts,
}

/** The roles in which the measures start this program again. */
export const roles: Record<string, Role<never>> = { passer, crowd, competitor, holder }
