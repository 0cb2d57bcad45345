import { join } from 'node:path'
import { createLocks } from 'storelock'
import { sqliteStore } from 'storelock/stores/sqlite'
import { compared, type Measure } from '../figure.ts'
import { inFolder } from '../folder.ts'
import { betweenProcesses, type PeerName, present } from '../peers/between-processes.ts'
import type { Locker } from '../peers/peer.ts'
import { alternate, type Side } from '../rounds.ts'
import { withServers } from '../servers.ts'
import { openBare, stored } from './bare.ts'
import { openCrowd } from './crowd.ts'

const name = 'sqlite.acquireRelease'
const rounds = 150
/** Their retries do not matter here, since the lock is always free. */
const peers = ['lockfileDefault', 'postgres', 'redlockDefault'] as const satisfies PeerName[]
const titles = {
  lockfileDefault: 'proper-lockfile lock + unlock',
  postgres: 'Postgres advisory lock + unlock',
  redlockDefault: 'redlock on one Redis',
}

export const measures: Record<string, Measure> = {
  [name]: (progress) =>
    inFolder((folder) =>
      withServers(async (servers) => {
        const store = sqliteStore(join(folder, 'ours.db'))
        const locks = createLocks({ store })
        const held = await locks.acquire('job')
        const texts = [await stored(store), await held.release().then(() => stored(store))]
        const bare = openBare(join(folder, 'bare.db'), 1, texts[0] ?? '')
        const there = present(peers, servers) as (keyof typeof titles)[]
        const lockers: Locker[] = []
        const theirSides: Partial<Record<keyof typeof titles, Side>> = {}
        for (const peer of there) {
          const locker = await betweenProcesses[peer].open({ folder, servers, first: true })
          lockers.push(locker)
          theirSides[peer] = { iterations: 20, run: (iterations) => acquireRelease(locker, iterations) }
        }
        const ours: Side = {
          iterations: 200,
          async run(iterations) {
            for (let i = 0; i < iterations; i++) {
              const lock = await locks.acquire('job')
              await lock.release()
            }
          },
        }
        const bareSide: Side = {
          iterations: 200,
          run(iterations) {
            for (let i = 0; i < iterations; i++) for (const text of texts) bare.readModifyWrite(text)
          },
        }
        const measured = await alternate({ ours, bare: bareSide, ...(theirSides as Record<keyof typeof titles, Side>) }, rounds, progress)
        for (const locker of lockers) await locker.close()
        bare.close()
        await locks.close()
        await store.close()
        const targets: Partial<Record<PeerName, number>> = { lockfileDefault: 1 / 12 }
        return [
          compared(name, measured, 'ours', 'bare', 'two bare BEGIN IMMEDIATE read-modify-write transactions', 1.3),
          ...there.map((peer) => compared(name, measured, 'ours', peer, titles[peer], targets[peer])),
        ]
      }),
    ),

  [`${name}.waiters64`]: (progress) =>
    inFolder(async (folder) => {
      const waiters = 64
      const store = sqliteStore(join(folder, 'ours.db'))
      const crowd = await openCrowd(store, waiters + 1)
      const text = await stored(store)
      const bare = openBare(join(folder, 'bare.db'), 1, text)
      const measured = await alternate(
        {
          ours: { iterations: 50, run: (iterations) => crowd.turn(iterations) },
          bare: {
            iterations: 50,
            run(iterations) {
              for (let i = 0; i < 2 * iterations; i++) bare.readModifyWrite(text)
            },
          },
          small: {
            iterations: 50,
            run(iterations) {
              for (let i = 0; i < 2 * iterations; i++) bare.readModifyWrite(text.slice(0, 300))
            },
          },
        },
        rounds,
        progress,
      )
      if ((await store.read('job'))?.queue.length !== waiters) throw new Error(`the record lost some of its ${waiters} waiters`)
      bare.close()
      await store.close()
      const full = `${name}.waiters64`
      return [
        compared(full, measured, 'ours', 'bare', 'two bare transactions on as long a text', 2),
        compared(full, measured, 'ours', 'small', 'two bare transactions on 300 bytes'),
      ]
    }),
}

async function acquireRelease(locker: Locker, iterations: number): Promise<void> {
  for (let i = 0; i < iterations; i++) {
    const release = await locker.acquire()
    await release()
  }
}
