import type { Json, Mode } from '../protocol/index.ts'
import type { ReleaseListener } from './types.ts'

/** The checked options of a request. */
export interface Wish {
  readonly mode: Mode
  /** 2 or more. */
  readonly limit?: number | undefined
  /** In ms. */
  readonly duration: number
  /** A lease of the hold's own, in ms: its duration is not the session's, or only its owner's code renews it. */
  readonly lease: number | undefined
  readonly manual: boolean
  /** In ms. */
  readonly maxHold?: number | undefined
  readonly ifAvailable?: boolean | undefined
  readonly ifNoQueue?: boolean | undefined
  readonly steal?: boolean | undefined
  readonly metadata?: Json | undefined
  readonly ask?: Json | undefined
  /** How long the holders that were asked may take, in ms, before the lock is stolen. */
  readonly grace?: number | undefined
  readonly onReleaseRequested?: ReleaseListener | undefined
  /** How long to wait, in ms. */
  readonly timeout?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** Whether its lease may serve another wish like it later: nothing in the record is specific to this one. */
export const isPlain = ({ mode, limit, lease, metadata }: Wish): boolean =>
  mode === 'exclusive' && limit === undefined && lease === undefined && metadata === undefined
