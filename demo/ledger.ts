/** One protected write. Its value is the one before it plus one, so a write that is lost leaves two writers with the same value. */
export interface Entry {
  readonly value: number
  readonly writer: string
  readonly token: number
}

/** What the lock protects. It takes the fencing token with every call, so that it can refuse whoever comes too late. */
export interface Ledger {
  /** The last value, 0 if there is none. From here on nothing is taken from a holder with a lower token. */
  read(token: number): Promise<number>
  /** Resolves when the entry is kept: that is the acknowledgement. */
  write(entry: Entry): Promise<void>
  /** Whether the holder with this token made its write. */
  has(token: number): Promise<boolean>
  /** All of them, in the order of their values. */
  entries(): Promise<Entry[]>
}

export class StaleTokenError extends Error {
  override readonly name = 'StaleTokenError'

  constructor(token: number, newest: number) {
    super(`refused: a holder with token ${newest} came after token ${token}`)
  }
}

export interface Audit {
  /** Acknowledged, and not in the ledger as acknowledged exactly once. */
  readonly lost: number
  /** In the ledger, but nobody was told: its writer died first. */
  readonly unacknowledged: number
  /** Entries whose token is not higher than that of the entry before. */
  readonly outOfOrder: number
}

/** Counts the ledger against what each writer was told. */
export function audit(entries: readonly Entry[], acknowledged: readonly Entry[]): Audit {
  const same = (a: Entry, b: Entry) => a.value === b.value && a.writer === b.writer && a.token === b.token
  const lost = acknowledged.filter((told) => entries.filter((entry) => same(entry, told)).length !== 1)
  const unacknowledged = entries.filter((entry) => !acknowledged.some((told) => same(entry, told)))
  const outOfOrder = entries.filter((entry, index) => entry.token <= (entries[index - 1]?.token ?? 0))
  return { lost: lost.length, unacknowledged: unacknowledged.length, outOfOrder: outOfOrder.length }
}
