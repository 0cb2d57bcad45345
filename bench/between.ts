import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createLocks, type Locks } from 'storelock'
import { sqliteStore } from 'storelock/stores/sqlite'
import { socketChannel } from '../src/channels/socket.ts'
import { openBare } from './bare.ts'
import type { Figure, Measure } from './figure.ts'
import { inFolder } from './folder.ts'
import { median, percentile } from './rounds.ts'

// Only a hint or a proof can be this fast: who looks by itself does so after seconds.
const options = { duration: 10_000, maxBackoff: 60_000 }
const turns = 500
/** How long the lock is held in each turn, in ms: long enough for the other one to be waiting. */
const held = 1
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

      // Both in a closed loop: while one holds the lock the other waits for it, as is seen from the tokens afterwards.
      other.child.send('turns')
      const turnsOfOther = other.turns()
      const mine = await takeTurns(locks, (done) => progress(done / 2))
      const theirs = await turnsOfOther
      const publish: number[] = []
      const byte: number[] = []
      const bareWrite: number[] = []
      const bare = openBare(join(folder, 'bare.db'), 1, '1'.repeat(300))
      for (let trial = 0; trial < turns; trial++) {
        await sleep(held)
        const sent = now()
        channel.publish('topic', { trial })
        publish.push((await other.said('heard')) - sent)
        await sleep(held)
        const written = now()
        raw.write('.')
        byte.push((await other.said('byte')) - written)
        await sleep(held)
        const begun = now()
        bare.readModifyWrite('1'.repeat(300))
        bareWrite.push(now() - begun)
        progress(0.5 + (trial + 1) / turns / 2)
      }
      bare.close()
      raw.destroy()
      await channel.close()
      await locks.close()
      await store.close()
      await other.end()
      const handoff = handoffs(mine, theirs)
      for (const times of [handoff, publish, byte, bareWrite]) times.splice(0, warmUp)
      const [n, theByte] = [handoff.length, median(byte)]
      return [
        figure('sqlite.handoff', median(handoff), 'a byte over a raw unix socket', theByte, n, 4),
        figure('sqlite.handoff', median(handoff), 'the limit', 400, n, 1),
        figure('sqlite.handoff', median(handoff), 'the floor: that byte and two bare transactions, as seldom', theByte + 2 * median(bareWrite), n),
        figure('sqlite.handoff p99', percentile(handoff, 0.99), 'the limit', 2_000, n, 1),
        figure('channel.publish', median(publish), 'a byte over a raw unix socket', theByte, publish.length),
        figure('channel.publish p99', percentile(publish, 0.99), 'p99 of that byte', percentile(byte, 0.99), publish.length),
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

/** When the lock was had, and let go of, in µs. */
interface Turn {
  readonly token: number
  readonly got: number
  readonly released: number
}

async function takeTurns(locks: Locks, progress: (done: number) => void = () => {}): Promise<Turn[]> {
  const taken: Turn[] = []
  for (let turn = 0; turn < turns; turn++) {
    const lock = await locks.acquire('job')
    const got = now()
    await sleep(held)
    const released = now()
    taken.push({ token: lock.token, got, released })
    // Without waiting for the release, so that the next request is in the queue as soon as it can be.
    lock.release()
    progress((turn + 1) / turns)
  }
  return taken
}

/** What passed between one's release and the other's start. */
function handoffs(mine: readonly Turn[], theirs: readonly Turn[]): number[] {
  const others = new Set(theirs)
  const all = [...mine, ...theirs].sort((a, b) => a.token - b.token)
  return all.slice(1).flatMap((turn, index) => {
    const before = all[index] as Turn
    return others.has(turn) === others.has(before) ? [] : [turn.got - before.released]
  })
}

interface Other {
  readonly child: ChildProcess
  /** When it says that this happened, in µs. */
  said(what: string): Promise<number>
  turns(): Promise<Turn[]>
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
    async turns() {
      for (;;) {
        const [message] = await once(child, 'message')
        if ('turns' in message) return message.turns
      }
    },
    async end() {
      child.disconnect()
      await once(child, 'exit')
    },
  }
}

const say = (what: string): void => void process.send?.([what, now()])

/** What else this program can be started as. */
export const roles = {
  /** Takes turns when it is told to, and says when it hears something. */
  async taker({ file, rawPath }: Place): Promise<void> {
    const store = sqliteStore(file)
    const locks = createLocks({ store, ...options })
    const channel = socketChannel(file, fail)
    channel.subscribe('topic', () => say('heard'))
    const server = createServer((socket: Socket) => socket.on('error', fail).on('data', () => say('byte')))
    server.listen(rawPath)
    await once(server, 'listening')
    process.on('message', async () => process.send?.({ turns: await takeTurns(locks) }))
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
