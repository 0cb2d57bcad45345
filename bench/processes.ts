import { fork } from 'node:child_process'
import { once } from 'node:events'

/** In µs, the same for all processes of a machine. */
export const now = (): number => Number(process.hrtime.bigint()) / 1_000

/** A line to another process. Messages are kept until they are heard. */
export interface Line {
  say(word: string, value?: unknown): void
  /** Waits for the next message with this word. @returns its value */
  hear<T = unknown>(word: string): Promise<T>
  /** Calls the listener for each message with this word. */
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
  /** Kills the process with SIGKILL. */
  kill(): void
  /** Tells the process to end, and waits until it has. */
  end(): Promise<void>
}

/** What another process of this program does for its starter. @returns a function that closes everything before the process ends */
export type Role<Place> = (place: Place, starter: Line) => Promise<() => Promise<unknown>>

/** Plays a role in this process. */
export async function be<Place>(role: Role<Place>, place: string): Promise<void> {
  const starter = lineTo(process)
  const close = await role(JSON.parse(place), starter)
  process.removeAllListeners('disconnect')
  process.once('disconnect', () => close().then(() => process.exit()))
  starter.say('ready')
}

/** Starts this program again, in one of its roles. If that process ends before it is told to, this process fails. */
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
