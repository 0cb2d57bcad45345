import type { LockError } from '../../src/protocol/index.ts'

/** The error that a call throws. */
export function thrown(call: () => unknown): LockError {
  try {
    call()
  } catch (error) {
    return error as LockError
  }
  throw new Error('nothing was thrown')
}
