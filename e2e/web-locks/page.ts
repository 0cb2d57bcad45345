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

/**
 * What a promise rejects with, as the name of the error. It may be of a frame that was removed: Firefox runs nothing more that is the
 * frame's own, as what `await` does with such a promise is, but it runs our handlers.
 */
const refusalOf = (promise: Promise<unknown>): Promise<string> =>
  new Promise((resolve) => {
    promise.then(
      () => resolve('none'),
      (error) => resolve(error.name),
    )
  })

/** What a page has asked a frame of its for. */
interface Order {
  /** Resolves when the frame has the lock. */
  readonly held: Promise<void>
  /** Resolves when the frame has let go. */
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

// A frame takes the lock that its page asks for, and keeps it until it is told otherwise.
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
  /** A frame of this page asks for the lock. Resolves when it has been asked for. */
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

  /** Waits for the lock, gets it, and lets go. Resolves when it has been asked for. */
  async wait(name: string): Promise<void> {
    served = navigator.locks.request(name, () => {})
    await navigator.locks.query()
  },
  /** Resolves when what waited last has let go. */
  served: (): Promise<void> | undefined => served,

  query: () => navigator.locks.query(),

  isAvailable: (name: string): Promise<boolean> => navigator.locks.request(name, { ifAvailable: true }, (lock) => lock !== null),

  /** What requests and queries are refused with, as the names of errors. */
  refusals: (locks = navigator.locks): Promise<string[]> => Promise.all([locks.request('k', () => {}), locks.query()].map(refusalOf)),

  /** What the locks of a frame that was removed say, as the names of errors. */
  async askInRemovedFrame(): Promise<string[]> {
    const removed = await openFrame()
    const { locks } = windowOf(removed).navigator
    removed.remove()
    const refusals = [...(await webLocks.refusals(locks)), await refusalOf(locks.request('-k', () => {}))]
    // A frame that is put back has another window, with locks of its own.
    document.body.append(removed)
    refusals.push(await refusalOf(locks.request('k', () => {})))
    removed.remove()
    return refusals
  },

  /**
   * Has three frames ask for one lock by messages that are sent in one turn and then, behind that, in another order, each once the one
   * before stands in the queue: while they wait they look, so that what a frame asks may come to the browser along with an earlier look of its.
   * @returns the frames by their numbers as a query shows them waiting: of the first round, and of the second once it is left alone
   */
  async askInOrder(): Promise<number[][]> {
    const frames = [await openFrame(), await openFrame(), await openFrame()] as const
    const name = 'in order'
    const clients: (string | undefined)[] = []
    for (const each of frames) {
      // They have used the name before.
      const { held, release } = orderFrom(each, name)
      await held
      clients.push((await navigator.locks.query()).held?.find((lock) => lock.name === name)?.clientId)
      await release()
    }
    const waiting = async (): Promise<number[]> => {
      const { pending = [] } = await navigator.locks.query()
      return pending.filter((lock) => lock.name === name).map(({ clientId }) => clients.indexOf(clientId))
    }
    /** All that a frame was asked for before has been dealt with. */
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
