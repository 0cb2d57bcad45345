import { fork } from 'node:child_process'
import { once } from 'node:events'

/** In µs, the same for all processes of a machine. */
export const now = (): number => Number(process.hrtime.bigint()) / 1_000

/** Another process, as the two at its ends see it. What it says is kept until somebody wants to hear it. */
export interface Line {
  say(word: string, value?: unknown): void
  /** What came with the next of these words. */
  hear<T = unknown>(word: string): Promise<T>
  /** Hears whenever one of these words comes. */
  on<T = unknown>(word: string, listener: (value: T) => void): void
}

interface Speaker {
  on(event: 'message', listener: (message: [word: string, value: unknown]) => void): unknown
  send?(message: unknown): unknown
}

function lineTo(other: Speaker): Line {
  const heard = new Map<string, unknown[]>()
  const listening = new Map<string, (value: never) => void>()
  other.on('message', ([word, value]) => {
    const listener = listening.get(word)
    if (listener) listener(value as never)
    else heard.set(word, [...(heard.get(word) ?? []), value])
  })
  const on: Line['on'] = (word, listener) => {
    listening.set(word, listener)
    for (const value of heard.get(word)?.splice(0) ?? []) listener(value as never)
  }
  return {
    say: (word, value) => void other.send?.([word, value]),
    on,
    hear: <T>(word: string) =>
      new Promise<T>((resolve) => {
        const values = heard.get(word)
        if (values?.length) return resolve(values.shift() as T)
        listening.set(word, (value: T) => {
          listening.delete(word)
          resolve(value)
        })
      }),
  }
}

export interface Other extends Line {
  /** Kills it without a word. */
  kill(): void
  /** Has it end, and waits until it has. */
  end(): Promise<void>
}

/** What another process of this program does when it is started with `place`, for who started it. @returns how to end it in order */
export type Role<Place> = (place: Place, starter: Line) => Promise<() => Promise<unknown>>

/** Is that other process. */
export async function be<Place>(role: Role<Place>, place: string): Promise<void> {
  const starter = lineTo(process)
  const close = await role(JSON.parse(place), starter)
  process.removeAllListeners('disconnect')
  process.once('disconnect', () => close().then(() => process.exit()))
  starter.say('ready')
}

/** Starts this program again, in one of its roles. Should it end before it is told to, so does this process. */
export async function start<Place>(role: string, place: Place): Promise<Other> {
  const child = fork(process.argv[1] ?? '', [role, JSON.stringify(place)], { execArgv: [] })
  let leaving = false
  child.once('exit', (code, signal) => {
    if (!leaving) throw new Error(`the ${role} ended with ${code ?? signal}`)
  })
  const line = lineTo(child)
  await line.hear('ready')
  return {
    ...line,
    kill() {
      leaving = true
      child.kill('SIGKILL')
    },
    async end() {
      leaving = true
      child.disconnect()
      await once(child, 'exit')
    },
  }
}
