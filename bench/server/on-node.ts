import type { Measure } from '../figure.ts'
import type { Role } from '../processes.ts'
import { bareServer } from './bare.ts'
import { measures as handoff } from './handoff.ts'
import { measures as idle } from './idle.ts'
import { lockServer } from './served.ts'
import { measures as throughput } from './throughput.ts'

/** What is measured of a lock server, in the order of the table. */
export const measures: Record<string, Measure> = { ...throughput, ...handoff, ...idle }

/** What else this program can be started as, by those measures. */
export const roles: Record<string, Role<never>> = { lockServer, bareServer }
