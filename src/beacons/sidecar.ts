import type { Beacon, RaisedBeacon } from '../store.ts'
import { isOwn, type LockedFile, type SidecarConnection, SidecarFiles, sessionOf } from './sidecar/files.ts'

export interface SidecarOptions {
  /** The path of the database. */
  readonly database: string
  /** Opens a database, or makes an empty one, with the driver that the database itself is opened with. */
  open(path: string): SidecarConnection
  /** Whether a session still has a row: until then its file is left, for it is the proof. Errors count as yes. */
  isKnown(session: string): boolean
  /**
   * Calls `ended` once when a connection to the session's process ends or cannot be had, with how long it lasted, in ms. It proves nothing.
   * @returns how to hear no more; undefined if there is nothing to connect to
   */
  attend(session: string, ended: (lasted: number) => void): (() => void) | undefined
  /** Called when beacons cannot be raised here, with the reason in words. */
  degraded(why: string): void
}

export interface SidecarBeacon extends Beacon {
  /** Ends all watches, without a word. What is raised stays so until it is lowered, or the process ends. */
  close(): void
}

/** Pauses between two tries at a lock that is held: from the first, doubled up to the last, in ms. */
const firstPause = 1
const lastPause = 1_000
/** A connection that lasted so long, in ms, was the owner's: its end is worth looking quickly again. */
const worthy = 1_000
/** How often an owner looks whether its file is still there, in ms. */
const lookAround = 1_000
/** Files of others that a new owner looks at, at most, to sweep those that were left behind. */
const sweeps = 8

/**
 * What is raised in this thread, by its address, and who watches it from this thread. It also keeps the connections: one that
 * was collected as rubbish would be closed.
 */
const raised = new Map<string, { readonly file: LockedFile; readonly watchers: Set<() => void> }>()

/**
 * Proofs of death by file locks, the same that SQLite itself trusts: a session's process holds a small file beside the database
 * locked for as long as the session lives, and whoever gets that lock has the proof. A process that is stopped keeps its locks.
 *
 * A file is removed only under its lock, and only once its session has no row any more; so a missing file proves nothing.
 * The death of a thread is not proved to the other threads of its process.
 */
export function sidecarBeacon({ database, open, isKnown, attend, degraded }: SidecarOptions): SidecarBeacon {
  const files = new SidecarFiles(database, open)
  const closing = new AbortController()
  let swept = false

  const isOver = (session: string): boolean => {
    try {
      return !isKnown(session)
    } catch {
      return false
    }
  }

  /** Removes what crashed processes left, once nobody needs the proof. */
  const sweep = (): void => {
    if (swept) return
    swept = true
    const over = files.old().filter(({ session }) => isOver(session))
    const start = Math.floor(Math.random() * over.length)
    for (const { name } of [...over.slice(start), ...over.slice(0, start)].slice(0, sweeps)) {
      const seized = files.seize(name)
      if (seized) files.free(seized, true)
    }
  }

  return {
    async raise(session): Promise<RaisedBeacon> {
      let file: LockedFile
      try {
        file = files.make(session)
      } catch (error) {
        degraded((error as Error).message)
        throw error
      }
      const address = `${file.name}:${file.inode}`
      const watchers = new Set<() => void>()
      raised.set(address, { file, watchers })
      setTimeout(sweep, lookAround).unref()
      let tell = (): void => {}
      const lost = new Promise<void>((resolve) => {
        tell = resolve
      })
      const look = setInterval(() => {
        if (files.inodeOf(file.name) === file.inode) return
        clearInterval(look)
        tell()
      }, lookAround).unref()
      return {
        address,
        lost,
        lower() {
          clearInterval(look)
          if (!raised.delete(address)) return
          files.free(file, isOver(session))
          for (const tell of watchers) tell()
          sweep()
        },
      }
    },

    watch: (address, signal) =>
      new Promise((resolve, reject) => {
        const [, name = '', inode = ''] = /^([^:/\\]+-[^:/\\]+):(\d+)$/.exec(address) ?? []
        const session = sessionOf(name)
        let timer: NodeJS.Timeout | undefined
        let leave: (() => void) | undefined
        let pause = firstPause

        const own = raised.get(address)?.watchers
        const stop = (): void => {
          clearTimeout(timer)
          leave?.()
          own?.delete(prove)
          signal.removeEventListener('abort', abort)
          closing.signal.removeEventListener('abort', stop)
        }
        const abort = (): void => {
          stop()
          reject(signal.reason)
        }
        const prove = (): void => {
          stop()
          resolve()
        }
        const probe = (): void => {
          const seized = files.seize(name, inode)
          if (!seized) {
            follow()
            return
          }
          files.free(seized, false)
          prove()
        }
        /** Waits for a reason to look again. */
        const follow = (): void => {
          leave = attend(session, (lasted) => {
            leave = undefined
            if (lasted >= worthy) pause = firstPause
            probeSoon()
          })
          if (!leave) probeSoon()
        }
        const probeSoon = (): void => {
          timer = setTimeout(probe, pause).unref()
          pause = Math.min(2 * pause, lastPause)
        }

        if (signal.aborted) return reject(signal.reason)
        if (closing.signal.aborted) return
        signal.addEventListener('abort', abort)
        closing.signal.addEventListener('abort', stop)
        if (!name) return
        if (own) own.add(prove)
        else if (!isOwn(name)) follow()
      }),

    close: () => closing.abort(),
  }
}
