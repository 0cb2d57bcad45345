import type { LossReason } from '../../protocol/index.ts'

/** Why a grant or a hold has ended: `lost` against its owner's will, `not-held` when its owner released it. */
export interface End {
  readonly code: 'lost' | 'not-held'
  readonly reason?: LossReason | undefined
  /** The error message for a lock of this name. A function, since most ends are never reported. */
  message(name: string): string
}

const words: Readonly<Record<LossReason, string>> = {
  stolen: 'it was stolen',
  revoked: 'it was revoked',
  expired: 'it was not renewed in time',
  ended: 'its session or its record is gone',
}

export const lost = (reason: LossReason, why = words[reason]): End => ({
  code: 'lost',
  reason,
  message: (name) => `lost ${JSON.stringify(name)}: ${why}`,
})

export const released: End = { code: 'not-held', message: (name) => `${JSON.stringify(name)} was released` }
