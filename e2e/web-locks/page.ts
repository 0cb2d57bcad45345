import { facts, shapes } from '../../test/web-locks/facts.ts'
import './install.ts'

const everyFact = [...facts, ...shapes]

/** Another page like this one, in a frame of this one. */
async function openFrame(): Promise<HTMLIFrameElement> {
  const frame = document.createElement('iframe')
  frame.src = location.href
  document.body.append(frame)
  await new Promise((resolve) => frame.addEventListener('load', resolve, { once: true }))
  return frame
}

const windowOf = (frame: HTMLIFrameElement) => frame.contentWindow as typeof globalThis & Window

const nameOf = (error: unknown): string => (error as Error).name

let frame: Promise<HTMLIFrameElement> | undefined
let worker: Worker | undefined

/** What tests do in a page, as the global `webLocks`. Whatever holds a lock keeps it until it goes away. */
const exposed = {
  /** Checks a fact between this page and a frame of it. */
  async check(name: string): Promise<void> {
    const fact = everyFact.find((each) => each.name === name)
    if (!fact) throw new Error(`there is no fact "${name}"`)
    frame ??= openFrame()
    const there = windowOf(await frame)
    await fact.run({ here: navigator.locks, there: there.navigator.locks, abortThere: new there.AbortController() })
  },

  /** Resolves when this page has the lock. */
  hold: (name: string): Promise<void> =>
    new Promise((resolve, reject) => {
      navigator.locks
        .request(name, () => {
          resolve()
          return new Promise(() => {})
        })
        .catch(reject)
    }),

  /** Resolves when a frame of this page has the lock. */
  async holdInFrame(name: string): Promise<void> {
    frame = openFrame()
    await windowOf(await frame).webLocks.hold(name)
  },
  async removeFrame(): Promise<void> {
    ;(await frame)?.remove()
  },
  async leaveFrame(): Promise<void> {
    windowOf((await frame) as HTMLIFrameElement).location.href = 'about:blank'
  },

  /** Resolves when a worker of this page has the lock. */
  async holdInWorker(name: string): Promise<void> {
    worker = new Worker(new URL(`./worker.ts${location.search}`, location.href), { type: 'module' })
    const held = new Promise((resolve) => worker?.addEventListener('message', resolve, { once: true }))
    worker.postMessage(name)
    await held
  },
  terminateWorker: (): void => worker?.terminate(),

  /** Waits for the lock, gets it, and lets go. Resolves when it has been asked for. */
  async wait(name: string): Promise<{ readonly served: Promise<void> }> {
    const served = navigator.locks.request(name, () => {})
    await navigator.locks.query()
    return { served }
  },

  query: () => navigator.locks.query(),

  isAvailable: (name: string): Promise<boolean> => navigator.locks.request(name, { ifAvailable: true }, (lock) => lock !== null),

  /** What requests and queries are refused with, as the names of errors. */
  refusals: (locks = navigator.locks): Promise<string[]> =>
    Promise.all([locks.request('k', () => {}), locks.query()].map((promise) => promise.then(() => 'none', nameOf))),

  /** What the locks of a frame that was removed say, as the names of errors. */
  async askInRemovedFrame(): Promise<string[]> {
    const removed = await openFrame()
    const { locks } = windowOf(removed).navigator
    removed.remove()
    return [...(await webLocks.refusals(locks)), await locks.request('-k', () => {}).then(() => 'none', nameOf)]
  },
}

declare global {
  var webLocks: typeof exposed
}

globalThis.webLocks = exposed
