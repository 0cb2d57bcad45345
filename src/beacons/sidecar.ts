import { setMaxListeners } from 'node:events'
import type { Beacon, RaisedBeacon } from '../store.ts'
import { isOwn, type LockedFile, type SidecarConnection, SidecarFiles, sessionOf } from './sidecar/files.ts'
import { hasEnded, thisThread } from './sidecar/owner.ts'
import { Sweep } from './sidecar/sweep.ts'
import { Turns } from './sidecar/turns.ts'

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
  /** Beacons cannot be raised here, with the reason in words; or, without one, they can again. */
  degraded(why?: string): void
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

/** What an address says: the file, what tells it from another of its name, and the thread where that can be told from others. */
const shape = /^([^:/\\]+-[^:/\\]+):(\d+)(?::(\d+\.\d+))?$/

/**
 * What is raised in this thread, by its address, and who watches it from this thread. It also keeps the connections: one that
 * was collected as rubbish would be closed.
 */
const raised = new Map<string, { readonly file: LockedFile; readonly watchers: Set<() => void> }>()

/** In the order in which they are asked for, whatever asks: a look at a file takes a tenth of a millisecond. */
const turns = new Turns()

/**
 * Proofs of death by file locks, the same that SQLite itself trusts: a session's process holds a small file beside the database
 * locked for as long as the session lives, and whoever gets that lock has the proof. A process that is stopped keeps its locks.
 *
 * A file is removed only under its lock, and only once its session has no row any more; so a missing file proves nothing.
 * The death of a thread is proved to the other threads of its process by the system's list of threads, where it has one.
 */
export function sidecarBeacon({ database, open, isKnown, attend, degraded }: SidecarOptions): SidecarBeacon {
  const files = new SidecarFiles(database, open)
  const closing = new AbortController()
  // Each watch listens. Where a process has many sessions, Node would print a warning into the app's log.
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

  /** Goes once through what crashed processes left, since nobody needs the proof any more. */
  const sweepOnce = (): void => {
    if (swept || closing.signal.aborted) return
    swept = true
    sweep.all()
  }

  /** Whether the owner of a file is proved dead, by a look that waits for nothing. */
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
