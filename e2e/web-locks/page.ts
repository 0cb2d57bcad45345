import { facts, shapes } from '../../test/web-locks/facts.ts'
import './install.ts'

const everyFact = [...facts, ...shapes]

/** Opens another page like this one in a frame. */
async function openFrame(): Promise<HTMLIFrameElement> {
  const frame = document.createElement('iframe')
  frame.src = location.href
  document.body.append(frame)
  await new Promise((resolve) => frame.addEventListener('load', resolve, { once: true }))
  return frame
}

const windowOf = (frame: HTMLIFrameElement) => frame.contentWindow as typeof globalThis & Window

/**
 * The name of the error that a promise rejects with. The promise may belong to a removed frame. Firefox then runs none of the frame's own
 * code, including the continuation of `await`, but it still runs our handlers.
 */
const refusalOf = (promise: Promise<unknown>): Promise<string> =>
  new Promise((resolve) => {
    promise.then(
      () => resolve('none'),
      (error) => resolve(error.name),
    )
  })

/** A lock that a page has told its frame to take. */
interface Order {
  /** Resolves when the frame has the lock. */
  readonly held: Promise<void>
  /** Resolves when the frame has released the lock. */
  release(): Promise<void>
}

function orderFrom(frame: HTMLIFrameElement, name: string): Order {
  const { port1, port2 } = new MessageChannel()
  const said = (what: string): Promise<void> =>
    new Promise((resolve) => {
      port1.addEventListener('message', ({ data }) => data === what && resolve())
    })
  const [held, released] = [said('held'), said('released')]
  port1.start()
  frame.contentWindow?.postMessage(name, '*', [port2])
  return {
    held,
    release() {
      port1.postMessage('release')
      return released
    },
  }
}

// A frame takes the lock that its page names, and keeps it until the page tells it to release.
addEventListener('message', async ({ data, ports: [port] }: MessageEvent<string>) => {
  if (!port) return
  await navigator.locks.request(data, () => {
    port.postMessage('held')
    return new Promise((release) => {
      port.onmessage = release
    })
  })
  port.postMessage('released')
})

let frame: Promise<HTMLIFrameElement> | undefined
let worker: Worker | undefined
let served: Promise<void> | undefined

/** What tests call in the page, as the global `webLocks`. A page, frame or worker that holds a lock keeps it until it goes away. */
const exposed = {
  /** Checks a fact between this page and one of its frames. */
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
  /** A frame of this page requests the lock. Resolves when the request is queued. */
  async waitInFrame(name: string): Promise<void> {
    frame = openFrame()
    await windowOf(await frame).webLocks.wait(name)
  },
  /** Resolves when a worker of a frame of this page has the lock. */
  async holdInWorkerOfFrame(name: string): Promise<void> {
    frame = openFrame()
    await windowOf(await frame).webLocks.holdInWorker(name)
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

  /** Requests the lock, and releases it once it is granted. Resolves when the request is queued. */
  async wait(name: string): Promise<void> {
    served = navigator.locks.request(name, () => {})
    await navigator.locks.query()
  },
  /** Resolves when the last such request has been granted and released. */
  served: (): Promise<void> | undefined => served,

  query: () => navigator.locks.query(),

  isAvailable: (name: string): Promise<boolean> => navigator.locks.request(name, { ifAvailable: true }, (lock) => lock !== null),

  /** The names of the errors with which a request and a query reject. */
  refusals: (locks = navigator.locks): Promise<string[]> => Promise.all([locks.request('k', () => {}), locks.query()].map(refusalOf)),

  /** The names of the errors with which the locks of a removed frame reject. */
  async askInRemovedFrame(): Promise<string[]> {
    const removed = await openFrame()
    const { locks } = windowOf(removed).navigator
    removed.remove()
    const refusals = [...(await webLocks.refusals(locks)), await refusalOf(locks.request('-k', () => {}))]
    // A frame that is put back has a new window, with its own locks.
    document.body.append(removed)
    refusals.push(await refusalOf(locks.request('k', () => {})))
    removed.remove()
    return refusals
  },

  /**
   * Tells three frames, by messages of one turn, to request one lock. Then each requests it again, in another order, once the request
   * before it is queued. Waiting frames poll, so a new request may reach the browser together with an earlier look of the same frame.
   * @returns the numbers of the frames in the order of the queue: after the first round, and of the second round once only that is left
   */
  async askInOrder(): Promise<number[][]> {
    const frames = [await openFrame(), await openFrame(), await openFrame()] as const
    const name = 'in order'
    const clients: (string | undefined)[] = []
    for (const each of frames) {
      // Each frame has used the name before.
      const { held, release } = orderFrom(each, name)
      await held
      clients.push((await navigator.locks.query()).held?.find((lock) => lock.name === name)?.clientId)
      await release()
    }
    const waiting = async (): Promise<number[]> => {
      const { pending = [] } = await navigator.locks.query()
      return pending.filter((lock) => lock.name === name).map(({ clientId }) => clients.indexOf(clientId))
    }
    /** Resolves when a frame has handled all earlier messages. */
    const settle = async (frame: HTMLIFrameElement): Promise<void> => {
      const { held, release } = orderFrom(frame, 'checkpoint')
      await held
      await release()
    }
    let release = (): void => {}
    await new Promise<void>((held) => {
      navigator.locks.request(name, () => {
        held()
        return new Promise<void>((end) => {
          release = end
        })
      })
    })
    const [first, second, third] = frames.map((each) => orderFrom(each, name)) as [Order, Order, Order]
    for (const each of frames) await settle(each)
    const rounds = [await waiting()]
    for (const number of [2, 0, 1] as const) {
      orderFrom(frames[number], name)
      await settle(frames[number])
    }
    release()
    for (const order of [first, second]) {
      await order.held
      await order.release()
    }
    await third.held
    rounds.push(await waiting())
    for (const each of frames) each.remove()
    return rounds
  },
}

declare global {
  var webLocks: typeof exposed
}

globalThis.webLocks = exposed
