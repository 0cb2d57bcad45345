import { createHash, randomBytes } from 'node:crypto'
import { lstatSync, mkdirSync, readdirSync, rmdirSync, type Stats, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The longest path of a socket, in bytes: the smallest limit of any system. */
const longestPath = 103
/** A directory's modification time may be this coarse, in ms: if it changed more recently, the list may be outdated already. */
const coarseness = 50
/** A socket file this old, in ms, is not just being opened: if no process answers there, it was left behind. */
const leftBehind = 10_000

/** How many topics' hashes are kept: making one takes longer than writing a message. */
const maxHashes = 1_000

const windows = process.platform === 'win32'

/** Files to remove if this thread ends without closing. */
const own = new Set<string>()
let cleansUp = false

/**
 * Where processes with the same identity find each other's sockets: a directory that only this user can enter, with one file for each subscriber of a
 * topic. On Windows the file only shows that there is a named pipe.
 */
export interface Place {
  /** The names of a topic's subscribers as of the last look: some may be gone, others may have come. */
  known(topic: string): readonly string[]
  /** The names of a topic's subscribers now. */
  find(topic: string): readonly string[]
  /** Reserves a name for a new subscriber. */
  claim(topic: string): string
  /** Creates the directory and, on Windows, a name's file, because other processes may have removed them. Throws an error that says what is wrong. */
  prepare(name: string): void
  /** Whether other processes still find a name: a cleanup of old files may have removed its file. */
  has(name: string): boolean
  /** Gives a name back. */
  free(name: string): void
  /** The address to connect to or to listen on. */
  address(name: string): string
  /** Called when no process answered there. Removes the file if it was left behind. */
  refused(name: string, error: NodeJS.ErrnoException): void
  /** All names that have existed for a while. */
  old(): string[]
  /** Removes the directory if there is no name in it. */
  leave(): void
}

/** Where directories for sockets may be, best first. The temporary directory is the same for most of a user's processes. */
const bases = (): readonly string[] => [tmpdir(), ...(process.env.XDG_RUNTIME_DIR ? [process.env.XDG_RUNTIME_DIR] : [])]

/**
 * @param identity processes with the same identity find each other
 * @throws Error that says why no directory can be used
 */
export function openPlace(identity: string, among: readonly string[] = bases()): Place {
  const home = safeFolder(among)
  const folder = join(home, hash(identity, 12))
  let byTopic = new Map<string, string[]>()
  let listed: number | undefined
  const hashes = new Map<string, string>()

  const hashOf = (topic: string): string => {
    const known = hashes.get(topic)
    if (known !== undefined) return known
    if (hashes.size >= maxHashes) hashes.clear()
    const made = hash(topic, 12)
    hashes.set(topic, made)
    return made
  }

  const pathOf = (name: string): string => join(folder, name)

  const list = (): string[] => {
    try {
      return readdirSync(folder)
    } catch {
      return []
    }
  }

  const isOld = (name: string): boolean => {
    const stat = nameShape.test(name) ? statOf(pathOf(name)) : undefined
    return stat !== undefined && isOurs(stat) && (windows || stat.isSocket()) && Math.abs(Date.now() - stat.mtimeMs) > leftBehind
  }

  return {
    known: (topic) => byTopic.get(hashOf(topic)) ?? [],
    find(topic) {
      // The time is read before the list, so that the next call notices changes after this.
      const changed = statOf(folder)?.mtimeMs
      if (changed === undefined) return []
      if (changed !== listed) {
        listed = Date.now() - changed > coarseness ? changed : undefined
        byTopic = byTopicOf(list())
      }
      return byTopic.get(hashOf(topic)) ?? []
    },
    claim(topic) {
      const name = `${hashOf(topic)}-${randomBytes(4).toString('hex')}`
      own.add(pathOf(name))
      if (!cleansUp) process.once('exit', removeOwn)
      cleansUp = true
      return name
    },
    prepare(name) {
      assertSafe(home)
      makeFolder(folder)
      if (windows) writeFileSync(pathOf(name), '')
    },
    has: (name) => statOf(pathOf(name)) !== undefined,
    free(name) {
      own.delete(pathOf(name))
      remove(pathOf(name))
    },
    address: (name) => (windows ? `\\\\.\\pipe\\storelock-${hash(folder, 16)}-${name}` : pathOf(name)),
    refused(name, { code }) {
      if (code === (windows ? 'ENOENT' : 'ECONNREFUSED') && isOld(name)) remove(pathOf(name))
    },
    old: () => list().filter((name) => !own.has(pathOf(name)) && isOld(name)),
    leave() {
      try {
        rmdirSync(folder)
      } catch {
        // Another process still uses it.
      }
    },
  }
}

const hash = (text: string, digits: number): string => createHash('sha256').update(text).digest('hex').slice(0, digits)

/** A name: the hash of its topic, and a random part. */
const nameShape = /^[0-9a-f]{12}-[0-9a-f]{8}$/

const topicOf = (name: string): string => name.slice(0, name.indexOf('-'))

function byTopicOf(names: readonly string[]): Map<string, string[]> {
  const topics = new Map<string, string[]>()
  for (const name of names) {
    const found = topics.get(topicOf(name))
    if (found) found.push(name)
    else topics.set(topicOf(name), [name])
  }
  return topics
}

/** `undefined` also if we may not see the file: then it does not exist for us. */
function statOf(path: string): Stats | undefined {
  try {
    return lstatSync(path)
  } catch {
    return undefined
  }
}

/** The owner of files that this process makes. */
const user = (): number | undefined => process.geteuid?.()

const isOurs = ({ uid }: Stats): boolean => windows || uid === user()

/** The first directory of our own that no other user can enter. */
function safeFolder(among: readonly string[]): string {
  const found = triedFolders(among)
  const last = found.at(-1)
  if (last && !last.fault) return last.folder
  throw new Error(found.map(({ folder, fault }) => `${folder} ${fault}`).join('; '))
}

/** The directories that were tried, up to the first usable one, each with the reason against it. */
export function triedFolders(among: readonly string[] = bases()): readonly { readonly folder: string; readonly fault: string | undefined }[] {
  const found: { folder: string; fault: string | undefined }[] = []
  for (const base of among) {
    const folder = join(base, windows ? 'storelock' : `storelock-${user()}`)
    const fault = faultOf(folder)
    found.push({ folder, fault })
    if (!fault) break
  }
  return found
}

function faultOf(folder: string): string | undefined {
  // A name in it needs two hashes, a random part, and separators.
  if (!windows && Buffer.byteLength(folder) + 36 > longestPath) return 'is too long for the path of a socket'
  try {
    makeFolder(folder)
    const stat = lstatSync(folder)
    if (!stat.isDirectory()) return 'is not a directory'
    if (!isOurs(stat)) return 'belongs to another user'
    if (!windows && stat.mode & 0o077) return 'can be entered by other users'
  } catch (error) {
    return `cannot be used (${(error as Error).message})`
  }
  return undefined
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

function assertSafe(folder: string): void {
  const fault = faultOf(folder)
  if (fault) throw new Error(`${folder} ${fault}`)
}

function remove(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // The file is gone already.
  }
}

function removeOwn(): void {
  for (const path of own) remove(path)
}
