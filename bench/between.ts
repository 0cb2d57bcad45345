import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createLocks } from 'storelock'
import { sqliteStore } from 'storelock/stores/sqlite'
import { socketChannel } from '../src/channels/socket.ts'
import type { Figure, Measure } from './figure.ts'
import { inFolder } from './folder.ts'
import { median, percentile } from './rounds.ts'

// Only a hint or a proof can be this fast: who looks by itself does so after seconds.
const options = { duration: 10_000, maxBackoff: 60_000 }
const handoffs = 400
const takeovers = 40
/** What is measured is compiled code. */
const warmUp = 100

/** In µs, the same for all processes of a machine. */
const now = (): number => Number(process.hrtime.bigint()) / 1_000

export const measures: Record<string, Measure> = {
  'sqlite.handoff': (progress) =>
    inFolder(async (folder) => {
      const file = join(folder, 'locks.db')
      const rawPath = join(folder, 'raw')
      const other = await start('taker', { file, rawPath })
      const store = sqliteStore(file)
      const locks = createLocks({ store, ...options })
      const channel = socketChannel(file, fail)
      const raw = connect(rawPath)
      await once(raw, 'connect')
      const times: Record<'handoff' | 'publish' | 'raw', number[]> = { handoff: [], publish: [], raw: [] }

      for (let trial = 0; trial < warmUp + handoffs; trial++) {
        const took: Record<keyof typeof times, number> = { handoff: 0, publish: 0, raw: 0 }
        const lock = await locks.acquire('job')
        other.child.send('wait')
        while ((await locks.query('job')).pending.length !== 1) await sleep(1)
        // The other one has nothing more to do but to wait.
        await sleep(3)
        let sent = now()
        const released = lock.release()
        took.handoff = (await other.said('got')) - sent
        await released
        await sleep(1)
        sent = now()
        channel.publish('topic', { trial })
        took.publish = (await other.said('heard')) - sent
        await sleep(1)
        sent = now()
        raw.write('.')
        took.raw = (await other.said('byte')) - sent
        if (trial >= warmUp) for (const name of ['handoff', 'publish', 'raw'] as const) times[name].push(took[name])
        progress((trial + 1) / (warmUp + handoffs))
      }
      raw.destroy()
      await channel.close()
      await locks.close()
      await store.close()
      await other.end()
      const p50 = (name: keyof typeof times): number => median(times[name])
      return [
        figure('sqlite.handoff', p50('handoff'), 'a byte over a raw unix socket', p50('raw'), handoffs, 4),
        figure('sqlite.handoff', p50('handoff'), 'the limit', 400, handoffs, 1),
        figure('sqlite.handoff p99', percentile(times.handoff, 0.99), 'the limit', 2_000, handoffs, 1),
        figure('channel.publish', p50('publish'), 'a byte over a raw unix socket', p50('raw'), handoffs),
        figure('channel.publish p99', percentile(times.publish, 0.99), 'p99 of a byte over a raw unix socket', percentile(times.raw, 0.99), handoffs),
      ]
    }),

  'sqlite.takeover': (progress) =>
    inFolder(async (folder) => {
      const file = join(folder, 'locks.db')
      const rawPath = join(folder, 'raw')
      const store = sqliteStore(file)
      const locks = createLocks({ store, ...options })
      let rawEnded = 0
      // What anyone could know first: the end of a connection to the one who is killed.
      const server = createServer((socket) =>
        socket
          .on('error', fail)
          .once('close', () => (rawEnded = now()))
          .resume(),
      )
      server.listen(rawPath)
      await once(server, 'listening')
      const took: number[] = []
      const floor: number[] = []
      for (let trial = 0; trial < takeovers; trial++) {
        const holder = await start('holder', { file, rawPath })
        const waiting = locks.acquire('job').then((lock) => ({ lock, at: now() }))
        while ((await locks.query('job')).pending.length !== 1) await sleep(1)
        await sleep(20)
        const killed = now()
        holder.child.kill('SIGKILL')
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
        figure('sqlite.takeover', median(took), 'the limit', 8_000, takeovers, 1),
        figure('sqlite.takeover p99', percentile(took, 0.99), 'the limit', 25_000, takeovers, 1),
        figure('sqlite.takeover', median(took), 'the end of a connection to the killed process', median(floor), takeovers),
      ]
    }),
}

const figure = (name: string, ours: number, against: string, theirs: number, n: number, target?: number): Figure => ({
  ...{ name, unit: 'µs', ours, against, theirs, ratio: ours / theirs, n, target },
})

function fail(why: unknown): never {
  throw new Error(String(why))
}

interface Other {
  readonly child: ChildProcess
  /** When it says that this happened, in µs. */
  said(what: string): Promise<number>
  end(): Promise<void>
}

interface Place {
  readonly file: string
  readonly rawPath: string
}

/** Starts this program again, as somebody else. */
async function start(role: keyof typeof roles, place: Place): Promise<Other> {
  const child = fork(process.argv[1] ?? '', [role, JSON.stringify(place)], { execArgv: [] })
  const said = async (what: string): Promise<number> => {
    for (;;) {
      const [[word, at]] = (await once(child, 'message')) as [[string, number]]
      if (word === what) return at
    }
  }
  await said('ready')
  return {
    child,
    said,
    async end() {
      child.disconnect()
      await once(child, 'exit')
    },
  }
}

const say = (what: string): void => void process.send?.([what, now()])

/** What else this program can be started as. */
export const roles = {
  /** Takes the lock when it is told to wait for it, and lets it go again at once. */
  async taker({ file, rawPath }: Place): Promise<void> {
    const store = sqliteStore(file)
    const locks = createLocks({ store, ...options })
    const channel = socketChannel(file, fail)
    channel.subscribe('topic', () => say('heard'))
    const server = createServer((socket: Socket) => socket.on('error', fail).on('data', () => say('byte')))
    server.listen(rawPath)
    await once(server, 'listening')
    process.on('message', async () => {
      const lock = await locks.acquire('job')
      say('got')
      await lock.release()
    })
    process.once('disconnect', async () => {
      server.close()
      await channel.close()
      await locks.close()
      await store.close()
    })
    say('ready')
  },

  async holder({ file, rawPath }: Place): Promise<void> {
    await once(connect(rawPath), 'connect')
    await createLocks({ store: sqliteStore(file), ...options }).acquire('job')
    process.once('disconnect', () => process.exit())
    say('ready')
  },
}
