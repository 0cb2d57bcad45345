import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createLocks } from 'storelock'
import { sqliteStore } from 'storelock/stores/sqlite'
import { figure, type Measure } from '../figure.ts'
import { inFolder } from '../folder.ts'
import { options } from '../peers/ours.ts'
import { now, type Role, start } from '../processes.ts'
import { median, percentile } from '../rounds.ts'

const takeovers = 40

export const measures: Record<string, Measure> = {
  'sqlite.takeover': (progress) =>
    inFolder(async (folder) => {
      const file = join(folder, 'locks.db')
      const rawPath = join(folder, 'raw')
      const store = sqliteStore(file)
      const locks = createLocks({ store, ...options })
      let rawEnded = 0
      // The earliest possible sign: the end of a connection to the killed process.
      const server = createServer((socket) =>
        socket
          .on('error', () => {})
          .once('close', () => (rawEnded = now()))
          .resume(),
      )
      server.listen(rawPath)
      await once(server, 'listening')
      const took: number[] = []
      const floor: number[] = []
      let memory = 0
      for (let trial = 0; trial < takeovers; trial++) {
        const holder = await start('holder', { file, rawPath })
        memory = await holder.hear<number>('memory')
        const waiting = locks.acquire('job').then((lock) => ({ lock, at: now() }))
        while ((await locks.query('job')).pending.length !== 1) await sleep(1)
        await sleep(20)
        const killed = now()
        holder.kill()
        const { lock, at } = await waiting
        took.push(at - killed)
        while (!rawEnded) await sleep(1)
        floor.push(rawEnded - killed)
        rawEnded = 0
        await lock.release()
        progress((trial + 1) / takeovers)
      }
      server.close()
      await locks.close()
      await store.close()
      return [
        figure('sqlite.takeover', 'µs', median(took), `the limit, for a process of ${memory} MB`, 8_000, takeovers, 1),
        figure('sqlite.takeover p99', 'µs', percentile(took, 0.99), 'the limit', 25_000, takeovers, 1),
        figure('sqlite.takeover', 'µs', median(took), 'the end of a connection to the killed process', median(floor), takeovers),
      ]
    }),
}

interface HolderPlace {
  readonly file: string
  readonly rawPath: string
}

/** Takes the lock and keeps it, until it is killed. */
export const holder: Role<HolderPlace> = async ({ file, rawPath }, starter) => {
  await once(connect(rawPath), 'connect')
  const locks = createLocks({ store: sqliteStore(file), ...options })
  await locks.acquire('job')
  starter.say('memory', Math.round(process.memoryUsage.rss() / 1_000_000))
  return () => locks.close()
}
