/** An error in an answer of etcd. `code` is gRPC's. */
export class EtcdError extends Error {
  override readonly name = 'EtcdError'
  readonly code: number

  constructor(message: string, code: number) {
    super(message)
    this.code = code
  }
}

/** gRPC's codes for a member that cannot answer now, and for a token that is not valid any more. */
export const [unavailable, unauthenticated] = [14, 16]
/** Failures of a connection before anything was sent. */
const unsent: ReadonlySet<unknown> = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT'])

/** How etcd describes an error. */
export interface Failure {
  readonly error?: string | Failure
  readonly message?: string
  readonly code?: number
  readonly grpc_code?: number
}

export function errorOf({ message, error, code, grpc_code }: Failure): EtcdError {
  const text = message ?? (typeof error === 'string' ? error : undefined) ?? 'an error without words'
  return new EtcdError(text, code ?? grpc_code ?? 0)
}

/** Whether another member may answer, and whether this one has certainly done nothing. */
export function isElsewhere(error: unknown): 'unsent' | 'unknown' | undefined {
  if (error instanceof EtcdError) return error.code !== unavailable ? undefined : /no leader/.test(error.message) ? 'unsent' : 'unknown'
  const { code } = error as { code?: unknown }
  return unsent.has(code) ? 'unsent' : 'unknown'
}

/** Gives an error that has only a code a message: the system's for a host with several addresses has none. */
export function reasonOf(error: unknown): unknown {
  const { message, code } = error as Error & { code?: string }
  return message ? error : new Error(code, { cause: error })
}
