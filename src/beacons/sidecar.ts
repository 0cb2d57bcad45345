import { setMaxListeners } from 'node:events'
import type { Beacon, RaisedBeacon } from '../store.ts'
import { isOwn, type LockedFile, type SidecarConnection, SidecarFiles, sessionOf } from './sidecar/files.ts'
import { hasEnded, thisThread } from './sidecar/owner.ts'
import { Sweep } from './sidecar/sweep.ts'
import { Turns } from './sidecar/turns.ts'

export interface SidecarOptions {
  /** The path of the database. */
  readonly database: string
  /** Opens or creates a database, with the driver of the database itself. */
  open(path: string): SidecarConnection
  /** Whether a session still has a row: until the row is gone, the session's file is kept as the proof of its death. Errors count as yes. */
  isKnown(session: string): boolean
  /**
   * Calls `ended` once when a connection to the session's process ends or fails, with how long it lasted, in ms. That proves nothing.
   * @returns how to stop listening; undefined if there is nothing to connect to
   */
  attend(session: string, ended: (lasted: number) => void): (() => void) | undefined
  /** Called with the reason in words when beacons cannot be raised here, and without one when they can again. */
  degraded(why?: string): void
}

export interface SidecarBeacon extends Beacon {
  /** Ends all watches silently. Raised beacons stay up until they are lowered, or the process ends. */
  close(): void
}

/** The pause between two attempts at a lock that is held, in ms: it starts at the first value and doubles up to the last. */
const firstPause = 1
const lastPause = 1_000
/** A connection that lasted this long, in ms, was the owner's: its end is a reason to look again quickly. */
const worthy = 1_000
/** How often an owner checks that its file is still there, in ms. */
const lookAround = 1_000

/** The parts of an address: the file, its inode, and the thread if threads can be told apart. */
const shape = /^([^:/\\]+-[^:/\\]+):(\d+)(?::(\d+\.\d+))?$/

/**
 * The beacons raised in this thread, by address, with their watchers in this thread. This also keeps the connections from being garbage-collected,
 * which would close them.
 */
const raised = new Map<string, { readonly file: LockedFile; readonly watchers: Set<() => void> }>()

/** Runs looks in the order in which they were requested. One look takes a tenth of a millisecond. */
const turns = new Turns()

/**
 * Proofs of death by file locks, the same locks that SQLite itself relies on. A session's process keeps a small file beside the database locked for
 * as long as the session lives, and a process that gets that lock has the proof. A process that is only stopped keeps its locks.
 *
 * A file is removed only under its lock, and only once its session has no row any more; so a missing file proves nothing. The system's list of
 * threads, if there is one, proves the death of a thread to the other threads of its process.
 */
export function sidecarBeacon({ database, open, isKnown, attend, degraded }: SidecarOptions): SidecarBeacon {
  const files = new SidecarFiles(database, open)
  const closing = new AbortController()
  // Each watch adds a listener. With many sessions in a process, Node would print a warning into the app's log.
  setMaxListeners(0, closing.signal)
  let swept = false

  const isOver = (session: string): boolean => {
    try {
      return !isKnown(session)
    } catch {
      return false
    }
  }

  const sweep = new Sweep(files, turns, isOver)
  closing.signal.addEventListener('abort', () => sweep.stop())

  /** Removes, once, the files of crashed processes that are no longer needed as proof. */
  const sweepOnce = (): void => {
    if (swept || closing.signal.aborted) return
    swept = true
    sweep.all()
  }

  /** Whether the owner of a file is proved dead, without waiting. */
  const isDead = (name: string, inode: string, thread: string | undefined): boolean => {
    if (isOwn(name)) {
      if (thread === undefined || !hasEnded(thread)) return false
    } else {
      const seized = files.seize(name, inode)
      if (!seized) return false
      files.free(seized, false)
    }
    sweep.expect(name)
    return true
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
      degraded()
      const address = [file.name, file.inode, ...(thisThread ? [thisThread] : [])].join(':')
      const watchers = new Set<() => void>()
      raised.set(address, { file, watchers })
      setTimeout(sweepOnce, lookAround).unref()
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
          if (!swept) sweep.begin()
        },
      }
    },

    watch: (address, signal) =>
      new Promise((resolve, reject) => {
        const [, name = '', inode = '', thread] = shape.exec(address) ?? []
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
          if (isDead(name, inode, thread)) prove()
          else follow()
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
        else if (!isOwn(name) || thread !== undefined) follow()
      }),

    async isOut(address) {
      const [, name, inode = '', thread] = shape.exec(address) ?? []
      return name !== undefined && !raised.has(address) && (await turns.take(() => isDead(name, inode, thread)))
    },

    close: () => closing.abort(),
  }
}
