import { type ChildProcess, type ForkOptions, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { built } from '../../test/house/built.ts'
import type { News, Order, Orders, Start } from './orders.ts'

const started = new Set<ChildProcess>()

const [context, leaver] = (await built(new URL('context.ts', import.meta.url), new URL('leaves.ts', import.meta.url))) as [string, string]

function noted(child: ChildProcess): ChildProcess {
  started.add(child)
  return child.once('exit', () => started.delete(child))
}

/** Kills every process that was started here, even stopped ones. */
export async function killAll(): Promise<void> {
  await Promise.all(
    [...started].map(async (child) => {
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    }),
  )
}

type Of<Type extends News['type']> = Extract<News, { type: Type }>
type Promised<Method> = Method extends (...args: infer Args) => infer Result ? (...args: Args) => Promise<Awaited<Result>> : never

/** A process with its own locks, seen from outside. It carries out orders. */
export class Context {
  readonly #child: ChildProcess
  readonly #exit: Promise<unknown>
  readonly #news: News[] = []
  readonly #listeners = new Set<() => void>()
  #complaint = ''
  #orders = 0
  /** Sends an order. Resolves with its result, or rejects with its error and `code`. */
  readonly does: { readonly [Name in keyof Orders]: Promised<Orders[Name]> }

  constructor(start: Start, env?: NodeJS.ProcessEnv) {
    const options = { execArgv: [], env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] } satisfies ForkOptions
    this.#child = noted(fork(context, [JSON.stringify(start)], options))
    this.#exit = once(this.#child, 'exit')
    this.#child.stderr?.on('data', (text) => {
      this.#complaint = `${this.#complaint}${text}`.slice(-2_000)
    })
    const hear = () => {
      for (const listener of [...this.#listeners]) listener()
    }
    this.#child.on('message', (news: News) => {
      this.#news.push(news)
      hear()
    })
    this.#child.once('exit', hear)
    this.does = new Proxy({} as Context['does'], {
      get:
        (_, does: keyof Orders) =>
        (...args: unknown[]) =>
          this.#order(does, args),
    })
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  get gone(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** All news of a type that the process has sent. */
  told<Type extends News['type']>(type: Type): Of<Type>[] {
    return this.#news.filter((news): news is Of<Type> => news.type === type)
  }

  async next<Type extends News['type']>(type: Type, test: (news: Of<Type>) => boolean = () => true): Promise<Of<Type>> {
    for (;;) {
      const found = this.told(type).find(test)
      if (found) return found
      if (this.gone) throw new Error(`a process is gone (${this.#child.signalCode ?? this.#child.exitCode}): ${this.#complaint}`)
      await new Promise<void>((resolve) => {
        const heard = () => {
          this.#listeners.delete(heard)
          resolve()
        }
        this.#listeners.add(heard)
      })
    }
  }

  async #order(does: keyof Orders, args: readonly unknown[]): Promise<never> {
    const id = ++this.#orders
    this.#child.send({ id, does, args } satisfies Order, () => {})
    const { result, error } = await this.next('answer', (news) => news.id === id)
    if (error) throw Object.assign(new Error(error.message), { code: error.code })
    return result as never
  }

  /** `kill -9`. Resolves when the process is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exit
  }

  stop(): void {
    this.#child.kill('SIGSTOP')
  }

  wake(): void {
    this.#child.kill('SIGCONT')
  }
}

/** Starts a process with its own locks, and waits until it takes orders. */
export async function startContext(start: Start, env?: NodeJS.ProcessEnv): Promise<Context> {
  const context = new Context(start, env)
  await context.next('ready')
  return context
}

/** Starts a process that takes a lock and then has nothing more to do. Resolves with its output and exit code once it has ended. */
export async function startLeaver(start: Start, name: string, ...close: 'close'[]): Promise<{ code: number | null; printed: string }> {
  // Without Node's IPC, so that only the lock could keep the process alive.
  const child = noted(spawn(process.execPath, [leaver, JSON.stringify(start), name, ...close], { stdio: ['ignore', 'pipe', 'pipe'] }))
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (text) => {
      printed += text
    })
  }
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, printed }
}
