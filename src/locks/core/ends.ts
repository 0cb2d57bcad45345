import type { LossReason } from '../../protocol/index.ts'

/** Why a grant or a hold has ended: `lost` against its owner's will, `not-held` when its owner released it. */
export interface End {
  readonly code: 'lost' | 'not-held'
  readonly message: string
  readonly reason?: LossReason | undefined
}

const words: Readonly<Record<LossReason, string>> = {
  stolen: 'it was stolen',
  revoked: 'it was revoked',
  expired: 'it was not renewed in time',
  ended: 'its session or its record is gone',
}

export const lost = (name: string, reason: LossReason, why = words[reason]): End => ({
  code: 'lost',
  message: `lost ${JSON.stringify(name)}: ${why}`,
  reason,
})

export const released = (name: string): End => ({ code: 'not-held', message: `${JSON.stringify(name)} was released` })
