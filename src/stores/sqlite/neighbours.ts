import { sidecarBeacon } from '../../beacons/sidecar.ts'
import { type Aid, type Lacks, makeLacks } from '../../channels/lacks.ts'
import { socketChannel } from '../../channels/socket.ts'
import type { Beacon, Channel, RaisedBeacon } from '../../store.ts'
import type { Connection, SqliteDatabase } from './driver.ts'
import type { FileGuard } from './file.ts'

/** The channel and the beacon between processes that have one database file open. */
export interface Neighbours {
  readonly channel: Channel
  readonly beacon: Beacon
  onDegraded: Lacks['onDegraded']
  close(): Promise<void>
}

/**
 * @param connection the store's own
 * @param identity identifies the file among all others of this machine
 */
export function meetNeighbours({ db, file, openBeside }: Connection, identity: string, guard: FileGuard): Neighbours {
  const lacks = makeLacks()
  let findSession: ReturnType<SqliteDatabase['prepare']> | undefined

  const note =
    (aid: Aid) =>
    (why?: string): void =>
      why === undefined ? lacks.regain(aid) : lacks.say(aid, ` between processes: ${why}`)

  const channel = socketChannel(identity, note('hints'))
  const beacon = sidecarBeacon({
    database: file,
    open: openBeside,
    isKnown(session) {
      findSession ??= db.prepare('SELECT 1 FROM storelock_sessions WHERE id = ?')
      return findSession.get(session) !== undefined
    },
    attend: channel.attend,
    degraded: note('proofs of death'),
  })

  return {
    channel,
    beacon: { ...beacon, raise: async (session) => untilFault(await beacon.raise(session), guard) },
    onDegraded: lacks.onDegraded,
    async close() {
      beacon.close()
      await channel.close()
    },
  }
}

/** Ends the session at once if other processes no longer write the same file, because its locks then exclude no other process. */
function untilFault(raised: RaisedBeacon, guard: FileGuard): RaisedBeacon {
  let stop = (): void => {}
  const fault = new Promise<string>((resolve) => {
    stop = guard.onFault(resolve)
  })
  return {
    ...raised,
    lost: Promise.race([raised.lost, fault]),
    lower() {
      stop()
      raised.lower()
    },
  }
}
