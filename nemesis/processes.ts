import { type ChildProcess, type ForkOptions, fork } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { bundle } from '../bench/bundle.ts'
import { type Arena, duration, type Fault, maxBackoff, patience, type Setting, steps } from './arena.ts'
import { canSetClocks, clockFrom, sweepAfter } from './clock.ts'
import { parseLines } from './history.ts'
import { pick } from './random.ts'
import type { Order, Point } from './worker.ts'

const names = Array.from({ length: 8 }, (_, index) => `process ${index + 1}`)

/** The settings of a process. Times in ms. */
export interface Start {
  readonly name: string
  /** The file of its notes. */
  readonly notes: string
  /** The file that sets its wall clock. */
  readonly clock: string
  readonly fenced: boolean
  readonly duration: number
  readonly maxBackoff: number
  readonly seed: number
}

/** Reports that it met an order. */
export type News = { readonly met: Order['type'] }

/** The parts of an arena that are the same for processes on any store. */
export type Processes = Pick<Arena, 'workers' | 'faults' | 'failed' | 'finish' | 'notes' | 'close'> & {
  /** Gives a worker an order. Resolves with whether the worker has carried it out. */
  obey(worker: string, order: Order): Promise<boolean>
}

/**
 * Runs processes, and replaces those that die.
 * @param program the source file that they run
 * @param more further settings that they are started with
 */
export async function runProcesses({ folder, fenced, seed, log }: Setting, program: string, more: object): Promise<Processes> {
  const bundled = join(folder, 'worker.js')
  await writeFile(bundled, await bundle(program, 'node'))
  const children = new Map<string, ChildProcess>()
  /** The processes that were ordered to die. */
  const doomed = new Set<ChildProcess>()
  let started = 0
  let finishing = false
  let fail: (error: Error) => void = () => {}
  const failed = new Promise<never>((_, reject) => {
    fail = reject
  })
  failed.catch(() => {})

  async function start(worker: string): Promise<void> {
    const number = ++started
    const clock = join(folder, `${worker}.clock`)
    await writeFile(clock, '+0')
    const name = `${worker}.${number}`
    const order: Start = { name, notes: join(folder, `${name}.notes`), clock, fenced, duration, maxBackoff, seed: seed + number }
    // The run may be over by now.
    if (finishing) return
    // The child must not inherit this process's flags, which load TypeScript.
    const options = { execArgv: [], env: { ...process.env, ...clockFrom(clock) }, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] } satisfies ForkOptions
    const child = fork(bundled, [JSON.stringify({ ...order, ...more })], options)
    let complaint = ''
    child.stderr?.on('data', (text) => {
      complaint = `${complaint}${text}`.slice(-2_000)
    })
    child.once('exit', (code, signal) => {
      sweepAfter(child.pid)
      if (finishing) return
      if (doomed.has(child)) start(worker).catch(fail)
      else fail(new Error(`${name} ended by itself (${signal ?? code}): ${complaint.trim()}`))
    })
    children.set(worker, child)
  }

  const childOf = (worker: string): ChildProcess => children.get(worker) as ChildProcess
  const isAlive = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null

  /** Resolves with true when the child meets the order, or with false if it ends first. */
  const obeyed = (child: ChildProcess, order: Order): Promise<boolean> =>
    new Promise((resolve) => {
      const settle = (met: boolean) => {
        child.off('message', hear).off('exit', gone)
        resolve(met)
      }
      const hear = ({ met }: News) => met === order.type && settle(true)
      const gone = () => settle(order.type === 'die')
      child.on('message', hear).once('exit', gone)
      child.send(order, () => {})
    })

  const hung = (kind: string, point: Point): Fault => ({
    kind,
    inflict: (worker, ms) => obeyed(childOf(worker), { type: 'hang', point, ms }),
  })
  const killed = (kind: string, point: Point): Fault => ({
    kind,
    inflict(worker) {
      const child = childOf(worker)
      doomed.add(child)
      return obeyed(child, { type: 'die', point })
    },
  })
  const faults: Fault[] = [
    {
      kind: 'stopped by SIGSTOP',
      async inflict(worker, ms) {
        const child = childOf(worker)
        child.kill('SIGSTOP')
        await sleep(ms)
        return child.kill('SIGCONT')
      },
    },
    hung('hung before the write', 'before the write'),
    hung('hung before COMMIT', 'before the commit'),
    {
      kind: 'killed from outside',
      async inflict(worker) {
        const child = childOf(worker)
        if (!isAlive(child)) return false
        doomed.add(child)
        child.kill('SIGKILL')
        await once(child, 'exit')
        return true
      },
    },
    killed('killed before COMMIT', 'before the commit'),
    killed('killed after COMMIT', 'after the commit'),
  ]
  if (canSetClocks) {
    faults.push({ kind: 'clock set', inflict: (worker, _, random) => obeyed(childOf(worker), { type: 'shift', ms: pick(random, steps) }) })
  } else log('no clock is set: libfaketime is not installed (Debian: apt-get install faketime)')

  await Promise.all(names.map(start))
  const living = () => [...children.values()].filter(isAlive)
  const ended = (child: ChildProcess): Promise<unknown> => (isAlive(child) ? once(child, 'exit') : Promise.resolve())

  return {
    workers: names,
    faults,
    failed,
    obey: (worker, order) => obeyed(childOf(worker), order),
    async finish() {
      finishing = true
      for (const child of living()) {
        child.kill('SIGCONT')
        child.send({ type: 'finish' } satisfies Order, () => {})
      }
      let unfinished: string[] = []
      const late = AbortSignal.timeout(patience)
      late.addEventListener('abort', () => {
        const last = living()
        unfinished = names.filter((worker) => last.includes(childOf(worker)))
        for (const child of last) child.kill('SIGKILL')
      })
      await Promise.all(living().map(ended))
      return unfinished
    },
    async notes() {
      const files = (await readdir(folder)).filter((name) => name.endsWith('.notes'))
      return Promise.all(files.map(async (name) => parseLines(await readFile(join(folder, name), 'utf8'))))
    },
    async close() {
      finishing = true
      const last = living()
      for (const child of last) child.kill('SIGKILL')
      await Promise.all(last.map(ended))
    },
  }
}
