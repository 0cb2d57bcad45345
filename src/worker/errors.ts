import { LockError, type LockErrorCode, type LockErrorOptions } from '../protocol/index.ts'

/** An error in the form of a message. Structured cloning would drop the `code`. */
export interface WireError {
  readonly kind: 'lock' | 'dom' | 'error'
  readonly name: string
  readonly message: string
  readonly code?: unknown
  readonly lock?: Pick<LockErrorOptions, 'holders' | 'reason' | 'heldBy'>
  readonly cause?: WireError
}

/** How many levels of causes are sent. */
const depth = 4

/** @see {@link decodeError}, its inverse */
export function encodeError(error: unknown, left = depth): WireError {
  if (!(error instanceof Error)) return { kind: 'error', name: 'Error', message: String(error) }
  const { name, message, code, cause } = error as Error & { code?: unknown }
  return {
    kind: error instanceof LockError ? 'lock' : error instanceof DOMException ? 'dom' : 'error',
    name,
    message,
    ...((typeof code === 'string' || typeof code === 'number') && { code }),
    ...(error instanceof LockError && { lock: { holders: error.holders, reason: error.reason, heldBy: error.heldBy } }),
    ...(cause !== undefined && left > 0 && { cause: encodeError(cause, left - 1) }),
  }
}

const kinds = new Map<string, ErrorConstructor>(Object.entries({ TypeError, RangeError }))

/** An error with the class, name and code of the encoded one. Classes other than LockError, DOMException, TypeError and RangeError become Error. */
export function decodeError({ kind, name, message, code, lock, cause }: WireError): Error {
  const options = cause && { cause: decodeError(cause) }
  if (kind === 'lock') return new LockError(code as LockErrorCode, message, { ...options, ...lock })
  if (kind === 'dom') return new DOMException(message, name)
  const error = new (kinds.get(name) ?? Error)(message, options)
  if (error.name !== name) error.name = name
  return code === undefined ? error : Object.assign(error, { code })
}
