import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { canSetClocks, clockFrom, sweepAfter } from '../nemesis/clock.ts'
import { checkTurns } from './ledger.ts'
import { type Got, now, type Start } from './processes/orders.ts'
import { type Context, killAll, startContext, startLeaver } from './processes/start.ts'

// Real processes, each with its own connection to one SQLite file. Times in ms.
const duration = 900
const lease = 1_200
const maxBackoff = 100

let folder: string
let start: Start

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'storelock-'))
  start = { file: join(folder, 'locks.db'), duration, maxBackoff }
})

afterEach(async () => {
  await killAll()
  await rm(folder, { recursive: true, force: true })
})

const several = (count: number, options?: Partial<Start>): Promise<Context[]> =>
  Promise.all(Array.from({ length: count }, () => startContext({ ...start, ...options })))

const pair = async (options?: Partial<Start>) => (await several(2, options)) as [Context, Context]

/** Resolves when `count` waiters are in the queue of the lock. */
async function queued(count: number, ...contexts: readonly Context[]): Promise<void> {
  const [context] = contexts as [Context]
  while ((await context.does.query('l')).pending.length !== count) await sleep(5)
}

// A process that only polls would take more than ten seconds.
const patient = { duration: 10_000, maxBackoff: 60_000 }
const soon = 1_000

const healthy = { held: true, aborted: false, thrown: undefined, reason: undefined }
const lost = { held: false, aborted: true, thrown: 'lost', reason: 'lost' }

/** Prints how long a take-over took, if FIGURES is set. */
const figure = (what: string, took: number): void => {
  if (process.env.FIGURES) console.log(`${what}: ${Math.round(took)} ms, lease ${lease} ms`)
}

describe('processes on one SQLite file', { timeout: 30_000 }, () => {
  test('hold a lock one at a time, each with a higher token, and each gets its turn', async () => {
    const turns = 25
    const contexts = await several(4, { duration: 6_000, maxBackoff: 1_000 })
    const ledger = join(folder, 'ledger')
    await writeFile(ledger, '')
    await Promise.all(contexts.map(({ does }) => does.turns('l', turns, ledger)))

    const lines = (await readFile(ledger, 'utf8')).trim().split('\n')
    checkTurns(
      lines.map((line) => JSON.parse(line)),
      4,
      turns,
    )
  })

  test('get the lock in the order in which they asked', async () => {
    const [holder, ...waiters] = (await several(4)) as [Context, ...Context[]]
    await holder.does.acquire('l')
    const order: number[] = []
    const waits = []
    for (const [index, { does }] of waiters.entries()) {
      const wait = does.acquire('l').then(async ({ token }) => {
        order.push(index)
        await does.release()
        return token
      })
      waits.push(wait)
      await queued(index + 1, holder)
    }
    await holder.does.release()
    const tokens = await Promise.all(waits)
    expect(order).toEqual([0, 1, 2])
    expect(tokens).toEqual(tokens.toSorted((a, b) => a - b))
  })

  test('learn at once that a lock is free, after a release or its holder’s death, without joining the queue', async () => {
    const [holder, watcher] = await pair({ duration: 600_000, maxBackoff: 600_000 })
    await holder.does.acquire('l')
    const free = watcher.does.whenFree('l')
    const released = await holder.does.release()
    const took = (await free) - released
    figure('whenFree after a release', took)
    expect(took).toBeLessThan(soon)

    await holder.does.acquire('l')
    const freeAgain = watcher.does.whenFree('l')
    expect((await watcher.does.query('l')).pending).toEqual([])
    const killed = now()
    await holder.kill()
    expect((await freeAgain) - killed).toBeLessThan(soon)
  })

  test('take over at once from a holder that was killed, with a higher token', async () => {
    const [holder, waiter] = await pair(patient)
    const { token } = await holder.does.acquire('l')
    const wait = waiter.does.acquire('l')
    await queued(1, waiter)
    const killed = now()
    await holder.kill()
    const next = await wait
    figure('take-over after kill -9', next.at - killed)
    expect(next.token).toBeGreaterThan(token)
    expect(next.at - killed).toBeLessThan(soon)
    expect(await waiter.does.state()).toEqual(healthy)
  })

  test('hold a lock two at a time with a limit of two, and a third takes over at once when one of them is killed', async () => {
    const [first, second, third] = (await several(3, patient)) as [Context, Context, Context]
    const limit = { limit: 2 }
    const tokens = [(await first.does.acquire('l', limit)).token, (await second.does.acquire('l', limit)).token]
    const wait = third.does.acquire('l', limit)
    await queued(1, first)
    second.kill()
    const killedAt = now()
    const next = await wait
    expect(next.token).toBeGreaterThan(Math.max(...tokens))
    expect(next.at - killedAt).toBeLessThan(soon)
    expect([await first.does.state(), await third.does.state()]).toEqual([healthy, healthy])
  })

  test('take over at once from a holder that was killed before any process waited', async () => {
    const [holder, waiter] = await pair(patient)
    await holder.does.acquire('l')
    await holder.kill()
    const asked = now()
    const next = await waiter.does.acquire('l')
    expect(next.at - asked).toBeLessThan(soon)
  })

  test('a call that does not wait gets the lock of a holder that was killed', async () => {
    const [holder, first, second, third] = (await several(4, patient)) as [Context, Context, Context, Context]
    await holder.does.acquire('l')
    await holder.does.acquire('m')
    await holder.does.acquire('n')
    await holder.kill()
    const got = [
      await first.does.tryAcquire('l', { timeout: 0 }),
      await second.does.acquire('m', { timeout: 0 }),
      await third.does.tryAcquire('n', { timeout: 0 }),
    ]
    expect(got).toEqual(got.map(() => ({ token: expect.any(Number), at: expect.any(Number) })))
  })

  test('repeated calls that do not wait get the lock of a stopped holder, which knows of the loss in the first line that it runs', async () => {
    const [stopped, asker] = await pair()
    const { token } = await stopped.does.acquire('l')
    const firstLook = stopped.does.standStill(duration)
    let refusals = 0
    let next: Got | null = null
    while (!next) {
      next = await asker.does.tryAcquire('l', { timeout: 0 })
      if (!next) refusals++
      await sleep(lease / 4)
    }
    expect(next.token).toBeGreaterThan(token)
    // A refusal counts for at most 1.25 × lease / 8 of silence, and the first for nothing.
    expect(refusals).toBeGreaterThanOrEqual(7)
    stopped.wake()
    expect(await firstLook).toEqual(lost)
  })

  test('rows and files of killed processes are removed soon after another process takes a lock', async () => {
    const dead = await several(12, patient)
    await Promise.all(dead.map(({ does }, index) => does.acquire(`l${index}`)))
    // A process that still ran would clean up after those that were killed before it.
    for (const context of dead) context.stop()
    await Promise.all(dead.map((context) => context.kill()))
    const left = (): [rows: number, files: number] => {
      const db = new Database(start.file, { readonly: true })
      const { rows } = db.prepare('SELECT count(*) AS rows FROM storelock_sessions').get() as { rows: number }
      db.close()
      return [rows, readdirSync(`${start.file}-storelock`).length]
    }
    expect(left()).toEqual([12, 12])
    const { does } = await startContext({ ...start, ...patient })
    await does.acquire('l')
    await vi.waitFor(() => expect(left()).toEqual([1, 1]), 5_000)
  })

  test('a stopped holder is replaced after its lease, and knows of the loss in the first line that it runs', async () => {
    const [stopped, waiter] = await pair()
    const { token } = await stopped.does.acquire('l')
    const wait = waiter.does.acquire('l')
    await queued(1, waiter)
    const renewed = await stopped.does.renew()
    const stoppedAt = now()
    const firstLook = stopped.does.standStill(duration)
    const next = await wait
    figure('take-over after SIGSTOP', next.at - stoppedAt)
    expect(next.token).toBeGreaterThan(token)
    expect(next.at - renewed).toBeGreaterThanOrEqual(lease)
    expect(next.at - stoppedAt).toBeLessThan(2 * lease + maxBackoff)

    stopped.wake()
    expect(await firstLook).toEqual(lost)
    await stopped.does.release()
    expect(await stopped.does.state()).toEqual(lost)

    await waiter.does.renew()
    expect(await waiter.does.state()).toEqual(healthy)
    expect((await waiter.does.query('l')).held).toMatchObject([{ token: next.token }])
    await waiter.does.release()
    expect((await stopped.does.acquire('l')).token).toBeGreaterThan(next.token)
  })

  test('a holder that was stopped too long learns from its signal that the lock is lost', async () => {
    const [stopped, waiter] = await pair()
    await stopped.does.acquire('l')
    const wait = waiter.does.acquire('l')
    await queued(1, waiter)
    stopped.stop()
    await wait
    const woken = now()
    stopped.wake()
    const { code, at } = await stopped.next('aborted')
    figure('signal after SIGCONT', at - woken)
    expect(code).toBe('lost')
    expect(at - woken).toBeLessThan(duration)
    expect(stopped.told('warning')).toEqual([])
    expect(await waiter.does.state()).toEqual(healthy)
  })

  test('a holder that is stopped again and again, but never for its duration, keeps the lock', async () => {
    const long = 2_000
    const [holder, waiter] = await pair({ duration: long })
    const { token } = await holder.does.acquire('l')
    const wait = waiter.does.acquire('l')
    await queued(1, waiter)
    for (let stops = 0; stops < 4; stops++) {
      await holder.does.renew()
      holder.stop()
      await sleep(long / 2.5)
      holder.wake()
    }
    // In total it was stopped for longer than its lease.
    await holder.does.renew()
    expect(await holder.does.state()).toEqual(healthy)
    expect((await waiter.does.query('l')).held).toMatchObject([{ token }])
    const released = await holder.does.release()
    expect((await wait).at).toBeGreaterThan(released - long)
    expect(holder.told('aborted').map(({ code }) => code)).toEqual(['not-held'])
  })

  test('a waiter that was killed at the head of the queue does not hold up the waiters behind it', async () => {
    const [holder, killed, last] = (await several(3, patient)) as [Context, Context, Context]
    await holder.does.acquire('l')
    killed.does.acquire('l').catch(() => {})
    await queued(1, holder)
    const wait = last.does.acquire('l')
    await queued(2, holder)
    await killed.kill()
    const released = await holder.does.release()
    const { at } = await wait
    figure('hand-over past a dead waiter', at - released)
    expect(at - released).toBeLessThan(soon)
    expect(await last.does.state()).toEqual(healthy)
  })

  test('a waiter that was killed in the queue is dropped while the lock is still held', async () => {
    const [holder, killed, last] = (await several(3, patient)) as [Context, Context, Context]
    await holder.does.acquire('l')
    killed.does.acquire('l').catch(() => {})
    await queued(1, holder)
    const wait = last.does.acquire('l')
    await queued(2, holder)
    await killed.kill()
    await queued(1, holder)
    expect(await holder.does.state()).toEqual(healthy)
    const released = await holder.does.release()
    expect((await wait).at - released).toBeLessThan(soon)
  })

  test('a release reaches the next waiter by a hint, long before its next look', async () => {
    const contexts = await several(3, patient)
    await contexts[0]?.does.acquire('l')
    const [, first, second] = contexts.map(({ does }) => does) as [unknown, Context['does'], Context['does']]
    const waits = [first.acquire('l')]
    await queued(1, ...contexts)
    waits.push(second.acquire('l'))
    await queued(2, ...contexts)
    // By now the pauses between two looks are longer than the time that is measured.
    await sleep(2 * soon)
    const released = now()
    await contexts[0]?.does.release()
    const { at } = (await waits[0]) as Got
    figure('hand-over', at - released)
    expect(at - released).toBeLessThan(soon / 4)
    const releasedAgain = now()
    await first.release()
    expect(((await waits[1]) as Got).at - releasedAgain).toBeLessThan(soon / 4)
  })

  test('a lock that lingers with one process goes to the next that requests it, by a hint', async () => {
    const [keeper, asker] = (await several(2, { ...patient, linger: 60_000 })) as [Context, Context]
    const first = await keeper.does.acquire('l')
    await keeper.does.release()
    const second = await keeper.does.acquire('l')
    // The same grant was used again.
    expect(second.token).toBe(first.token + 1)
    await keeper.does.release()
    const asked = now()
    const third = await asker.does.acquire('l')
    expect(third.at - asked).toBeLessThan(soon / 4)
    expect(third.token).toBeGreaterThan(second.token)
  })

  test('a living waiter answers the challenge of the waiter behind it and keeps its place', async () => {
    const [holder, first, last] = (await several(3)) as [Context, Context, Context]
    await holder.does.acquire('l')
    const order: string[] = []
    const waits = [first.does.acquire('l').then(() => order.push('first'))]
    await queued(1, holder)
    waits.push(last.does.acquire('l').then(() => order.push('last')))
    await queued(2, holder)
    // Long enough for the last one to challenge the first and to find it silent.
    await sleep(2 * lease)
    await holder.does.release()
    await waits[0]
    await first.does.release()
    await waits[1]
    expect(order).toEqual(['first', 'last'])
  })

  test('a held lock does not keep a process alive', async () => {
    // If its heartbeat kept the process alive, this would hang.
    expect(await startLeaver({ ...start, duration: 3_600_000 }, 'l')).toEqual({ code: 0, printed: 'holds it\n' })
  })

  test('a process that has closed its locks ends, and leaves nothing beside the database', async () => {
    expect(await startLeaver(start, 'l', 'close')).toEqual({ code: 0, printed: 'holds it\n' })
    expect(readdirSync(`${start.file}-storelock`)).toEqual([])
  })

  test('that use different directories for their sockets, as different users do, still prove each other’s death', async () => {
    const [one, other] = (await Promise.all(
      ['one', 'other'].map(async (name) => {
        await mkdir(join(folder, name))
        return startContext({ ...start, ...patient }, { TMPDIR: join(folder, name) })
      }),
    )) as [Context, Context]
    await one.does.acquire('l')
    const wait = other.does.acquire('l')
    await queued(1, other)
    const killed = now()
    await one.kill()
    // There is no socket between them whose end would tell the waiter to look.
    expect((await wait).at - killed).toBeLessThan(3 * soon)
  })

  test('on another database have other locks', async () => {
    const [one] = await several(1, patient)
    const elsewhere = await startContext({ ...start, ...patient, file: join(folder, 'else.db') })
    await one?.does.acquire('l')
    expect(await elsewhere.does.tryAcquire('l')).not.toBeNull()
  })

  test('may have threads, each with its own session, and no thread considers another dead', async () => {
    const turns = 50
    const ledger = join(folder, 'ledger')
    await writeFile(ledger, '')
    const [tsx, program] = [import.meta.resolve('tsx/esm/api'), new URL('processes/thread.ts', import.meta.url).href]
    const code = `import { register } from ${JSON.stringify(tsx)}; register(); await import(${JSON.stringify(program)})`
    const url = new URL(`data:text/javascript,${encodeURIComponent(code)}`)
    const threads = Array.from({ length: 3 }, () => new Worker(url, { workerData: { file: start.file, ledger, turns } }))
    await Promise.all(threads.map(async (thread) => expect(await once(thread, 'exit')).toEqual([0])))
    const lines = (await readFile(ledger, 'utf8')).trim().split('\n')
    checkTurns(
      lines.map((line) => JSON.parse(line)),
      3,
      turns,
    )
  })

  test('a process that waits for a lock stays alive until it has it', async () => {
    const holder = await startContext(start)
    await holder.does.acquire('l')
    const leaver = startLeaver(start, 'l')
    await queued(1, holder)
    await sleep(5 * maxBackoff)
    expect((await holder.does.query('l')).pending).toHaveLength(1)
    await holder.does.release()
    expect(await leaver).toEqual({ code: 0, printed: 'holds it\n' })
  })

  test('a process that ended without a release is replaced at once', async () => {
    const waiter = await startContext({ ...start, ...patient })
    expect((await startLeaver({ ...start, ...patient }, 'l')).code).toBe(0)
    const ended = now()
    const { at } = await waiter.does.acquire('l')
    figure('take-over after an exit', at - ended)
    expect(at - ended).toBeLessThan(soon)
  })

  test('exclude each other also under one label', async () => {
    const [one, other] = await pair({ label: 'worker 1' })
    const { token } = await one.does.acquire('l')
    expect(await other.does.tryAcquire('l')).toBeNull()
    await expect(other.does.acquire('l', { timeout: 200 })).rejects.toMatchObject({ code: 'timeout' })
    expect((await other.does.query('l')).held).toMatchObject([{ token, label: 'worker 1' }])
    expect(await one.does.state()).toEqual(healthy)
    await one.does.release()
    expect((await other.does.acquire('l')).token).toBeGreaterThan(token)
  })

  test('a holder whose database file is deleted loses the lock within its next beats', async () => {
    const holder = await startContext(start)
    await holder.does.acquire('l')
    await Promise.all(readdirSync(folder).map((file) => rm(join(folder, file), { recursive: true })))
    const deleted = now()
    const { at } = await holder.next('aborted', (news) => news.code === 'lost')
    figure('loss after the deletion of the file', at - deleted)
    expect(at - deleted).toBeLessThan(2 * lease)
    expect(await holder.does.state()).toEqual(lost)
    await expect(holder.does.acquire('l', { timeout: 1_000 })).rejects.toMatchObject({ code: 'store' })
    expect(holder.gone).toBe(false)
  })
})

if (!canSetClocks) console.log('not run: the tests of clock steps, for libfaketime is not installed (Debian: apt-get install faketime)')

describe.skipIf(!canSetClocks)('J11: wall-clock steps of an hour', { timeout: 30_000 }, () => {
  const hour = 3_600_000
  const started: Context[] = []

  afterEach(async () => {
    await killAll()
    for (const { pid } of started.splice(0)) sweepAfter(pid)
  })

  /** Starts a process whose wall clock can be set, as an offset from the true time in s. */
  async function startWithClock(): Promise<{ context: Context; set(seconds: number): Promise<void> }> {
    const clock = join(await mkdtemp(join(folder, 'clock-')), 'offset')
    await writeFile(clock, '+0')
    const context = await startContext(start, clockFrom(clock))
    started.push(context)
    return {
      context,
      async set(seconds) {
        await writeFile(clock, `${seconds < 0 ? '' : '+'}${seconds}`)
        expect(Math.abs((await context.does.wallTime()) - Date.now() - seconds * 1_000)).toBeLessThan(hour / 2)
      },
    }
  }

  test.each([
    ['forward', 3_600],
    ['back', -3_600],
  ])('%s: a healthy holder keeps its lock, and no process takes a lock early', async (_, seconds) => {
    const [{ context: holder, set: setHolder }, { context: waiter, set: setWaiter }, other] = await Promise.all([
      startWithClock(),
      startWithClock(),
      startContext(start),
    ])
    const { token } = await holder.does.acquire('l')
    const wait = waiter.does.acquire('l')
    await queued(1, other)
    const lastWait = other.does.acquire('l')
    await queued(2, other)

    // Moves first the holder's clock, then the waiter's, then both back, each for longer than a lease.
    for (const [holderOff, waiterOff] of [
      [seconds, 0],
      [seconds, seconds],
      [0, 0],
    ] as const) {
      await setHolder(holderOff)
      await setWaiter(waiterOff)
      await sleep(1.25 * lease)
      await holder.does.renew()
      expect(await holder.does.state()).toEqual(healthy)
      expect((await other.does.query('l')).held).toMatchObject([{ token }])
    }
    expect(await waiter.does.tryAcquire('l')).toBeNull()

    await setHolder(seconds)
    const renewed = await holder.does.renew()
    const stopped = now()
    holder.stop()
    const next = await wait
    expect(next.at - renewed).toBeGreaterThanOrEqual(lease)
    expect(next.at - stopped).toBeLessThan(2 * lease + maxBackoff)
    expect(next.token).toBeGreaterThan(token)
    await waiter.does.release()
    expect((await lastWait).token).toBeGreaterThan(next.token)
  })
})
