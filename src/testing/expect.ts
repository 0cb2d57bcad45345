import { LockError, type LockErrorCode, type Outcome } from '../protocol/index.ts'

/** @throws Error if the two differ as plain data; fields that are `undefined` do not count */
export function equal(actual: unknown, expected: unknown, what: string): void {
  const [is, should] = [plain(actual), plain(expected)]
  if (is !== should) throw new Error(`${what}: expected ${should}, got ${is}`)
}

export function truthy(fact: unknown, what: string): asserts fact {
  if (!fact) throw new Error(`expected ${what}`)
}

/** @throws Error unless the outcome is of this type; @returns it with that type */
export function outcome<T extends Outcome['type']>(actual: Outcome | undefined, type: T): Extract<Outcome, { type: T }> {
  if (actual?.type !== type) throw new Error(`expected the outcome ${type}, got ${plain(actual)}`)
  return actual as Extract<Outcome, { type: T }>
}

/** @throws Error unless the promise rejects with a `LockError` of this code; @returns the error */
export async function rejects(promise: Promise<unknown>, code: LockErrorCode): Promise<LockError> {
  const error = await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (!(error instanceof LockError) || error.code !== code) throw new Error(`expected a LockError ${code}, got ${String(error)}`)
  return error
}

/** As text, with each object's fields in order and without those that are `undefined`. */
const plain = (value: unknown): string =>
  JSON.stringify(value ?? null, (_, field) =>
    field && typeof field === 'object' && !Array.isArray(field)
      ? Object.fromEntries((field instanceof Map ? [...field] : Object.entries(field)).sort(([a], [b]) => (a < b ? -1 : 1)))
      : field,
  )
