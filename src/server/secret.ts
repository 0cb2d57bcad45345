import { randomBytes } from 'node:crypto'
import { linkSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { LockError } from '../protocol/index.ts'
import type { Secret } from './options.ts'

/** Shortest secret, in bytes. */
const minSecret = 16

/**
 * The keys that sign lockTokens: from the option, the environment, or a file beside the database that the first start creates. Without any of them
 * lockTokens end with this process.
 *
 * @param file the path of the database; '' if it has no file
 * @param shared the store's title, if other servers may share it
 * @throws LockError `invalid` if a key is too short, if other users may read its file, or if servers that share a store have no secret
 */
export function findKeys(given: Secret | undefined, file: string, shared?: string): readonly Buffer[] {
  const secret = given ?? process.env.STORELOCK_SECRET
  if (secret !== undefined) return keysOf(secret)
  if (shared !== undefined)
    throw new LockError(
      'invalid',
      `lock servers on ${shared} need a secret, the same for all of them: put 32 random characters into a file for --secret-file, or into STORELOCK_SECRET`,
    )
  return [file ? ofFile(`${file}-secret`) : randomBytes(32)]
}

/** @throws LockError `invalid` if there is no secret, or one is too short */
export function keysOf(secret: Secret): readonly Buffer[] {
  const keys = (Array.isArray(secret) ? secret : [secret]).map((each) => Buffer.from(each))
  if (!keys.length) throw new LockError('invalid', 'the list of secrets is empty: give at least one, the first of which signs')
  const short = keys.find(({ length }) => length < minSecret)
  if (short) throw new LockError('invalid', `the server's secret has ${short.length} bytes: give it ${minSecret} or more`)
  return keys
}

/** @throws LockError `invalid` if the file beside a database exists and other users may read it */
export function checkSecretOf(file: string): void {
  const path = `${file}-secret`
  if (statSync(path, { throwIfNoEntry: false })) readSafely(path)
}

function ofFile(path: string): Buffer {
  makeOnce(path)
  return readSafely(path)
}

function readSafely(path: string): Buffer {
  // Windows has no file modes that keep other users out.
  if (process.platform !== 'win32') {
    const { mode, uid } = statSync(path)
    if (mode & 0o077) throw new LockError('invalid', `others may read the server's secret: chmod 600 ${path}`)
    if (uid !== process.geteuid?.())
      throw new LockError('invalid', `the server's secret in ${path} belongs to another user, who may know it: remove the file`)
  }
  const secret = readFileSync(path)
  if (secret.length < minSecret) throw new LockError('invalid', `the server's secret in ${path} is damaged: remove it, which voids all lockTokens`)
  return secret
}

/** Creates the file completely or not at all: another server may start at the same time. */
function makeOnce(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })) return
  // An unguessable name and a new file: other users might be able to read an existing one.
  const draft = `${path}.${randomBytes(9).toString('base64url')}`
  writeFileSync(draft, randomBytes(32).toString('base64url'), { mode: 0o600, flag: 'wx' })
  try {
    linkSync(draft, path)
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'EEXIST') throw error
  } finally {
    rmSync(draft)
  }
}
