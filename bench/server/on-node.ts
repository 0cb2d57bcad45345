import type { Measure } from '../figure.ts'
import type { Role } from '../processes.ts'
import { bareServer } from './bare.ts'
import { measures as handoff } from './handoff.ts'
import { measures as idle } from './idle.ts'
import { lockServer } from './served.ts'
import { measures as throughput } from './throughput.ts'

/** The figures of a lock server, in the order of the table. */
export const measures: Record<string, Measure> = { ...throughput, ...handoff, ...idle }

/** The roles in which the measures start this program again. */
export const roles: Record<string, Role<never>> = { lockServer, bareServer }
