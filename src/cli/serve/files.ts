import { readFileSync, statSync } from 'node:fs'
import type { ClientCredential, ServerTls } from '../../server/index.ts'
import { z } from '../../server/libraries.ts'
import { Exit, exitCodes } from '../exit.ts'
import type { Config } from './config.ts'

/** The contents of the file that `clients` names. */
const clientList: z.ZodType<ClientCredential[]> = z.array(
  z.strictObject({
    name: z.string(),
    token: z.string().exactOptional(),
    certificate: z
      .strictObject({ fingerprint: z.string().exactOptional(), subject: z.record(z.string(), z.string()).exactOptional() })
      .exactOptional(),
    prefixes: z.array(z.string()).exactOptional(),
    admin: z.boolean().exactOptional(),
    readOnly: z.boolean().exactOptional(),
    steal: z.boolean().exactOptional(),
    ask: z.boolean().exactOptional(),
    expires: z.string().exactOptional(),
  }),
)

/** The options that the server reads from files, and reads again at SIGHUP. */
export interface Files {
  readonly clients?: ClientCredential[]
  readonly secret?: string[]
  readonly tls?: ServerTls
}

/** The settings that name such files. */
export const fileSettings = ['clients', 'secretFile', 'tls.key', 'tls.cert', 'tls.clientCa'] as const

/** @throws Exit that names the file, or the setting that named it */
export function readFiles(config: Config): Files {
  const [clients, secrets, key, cert, clientCa] = fileSettings.map((name) => config.get(name)?.value as string | undefined)
  if (!key !== !cert) throw new Exit(exitCodes.failed, `TLS needs both: ${key ? 'tls.cert' : 'tls.key'} is missing, but ${fromOf(config)} is set`)
  if (clientCa && !key) throw new Exit(exitCodes.failed, `tls.clientCa (${config.get('tls.clientCa')?.from}) needs tls.key and tls.cert`)
  return {
    ...(clients && { clients: readClients(clients) }),
    ...(secrets && { secret: readSecrets(secrets) }),
    ...(key && cert && { tls: { key: read(key), cert: read(cert), ...(clientCa && { clientCa: read(clientCa) }) } }),
  }
}

const fromOf = (config: Config): string => (config.get('tls.key') ?? config.get('tls.cert'))?.from as string

function readClients(path: string): ClientCredential[] {
  const found = clientList.safeParse(parse(read(path)))
  // A list that has only hashes may be readable for all, as files that are mounted into containers often are.
  if (!found.success || found.data.some(({ token }) => token && !token.startsWith('sha256:'))) assertPrivate(path)
  if (found.success) return found.data
  throw new Exit(
    exitCodes.failed,
    `${path} is not a JSON list of clients such as [{ "name": "ci", "token": "…", "prefixes": ["ci/"], "admin": false }]: ${z.prettifyError(found.error).replace(/\s*\n\s*/g, ' ')}`,
  )
}

/** One key per line. */
function readSecrets(path: string): string[] {
  const lines = readPrivate(path).split(/\r?\n/).filter(Boolean)
  if (!lines.length) throw new Exit(exitCodes.failed, `${path} has no secret: \`openssl rand -hex 32\` makes one`)
  return lines
}

function readPrivate(path: string): string {
  const text = read(path)
  assertPrivate(path)
  return text
}

function assertPrivate(path: string): void {
  if (process.platform !== 'win32' && statSync(path).mode & 0o077) {
    throw new Exit(exitCodes.failed, `${path} contains secrets and others can read it: chmod 600 ${path}`)
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Exit(exitCodes.failed, `cannot read ${path}: ${(error as Error).message}`)
  }
}
