import { report } from '../model/reports.ts'
import { type Start, takePart } from './member.ts'
import { openRadio, type Radio } from './radio.ts'

/** How long a crashed worker stays away, in ms. */
const absence = 5_000

export interface Crew {
  /** The names of the workers that run in this page. */
  readonly names: readonly string[]
}

/** Starts workers in this page, each on its own thread. For the lock, each of them is like a tab. */
export async function startWorkers(count: number, startNow: () => Start): Promise<Crew> {
  const names: string[] = []
  while (names.length < count) names.push(`worker ${await takeSeat()}`)
  const workers = new Map<string, Worker>()
  const start = (name: string) => {
    // Pages and workers run the same script: see `main.ts`.
    const worker = new Worker(import.meta.url, { type: 'module', name })
    worker.postMessage(startNow())
    workers.set(name, worker)
  }
  const radio = openRadio((message) => message.type === 'crash' && crash(message.to))
  const crash = (name: string) => {
    const worker = workers.get(name)
    if (!worker) return
    worker.terminate()
    workers.delete(name)
    told(radio, name, 'crashed')
    setTimeout(() => start(name), absence)
  }
  for (const name of names) start(name)
  addEventListener('pagehide', () => {
    for (const name of workers.keys()) told(radio, name, 'was closed with its tab')
  })
  return { names }
}

/** Lets this page itself take part, on its main thread. */
export async function joinAsTab(start: Start): Promise<Crew> {
  const name = `tab ${await takeSeat()}`
  const radio = openRadio((message) => message.type === 'crash' && message.to === name && close())
  await takePart(name, 'tab', start)
  addEventListener('pagehide', () => radio.send({ type: 'report', report: report(name, { type: 'left' }) }))
  return { names: [name] }
}

const told = (radio: Radio, name: string, how: string) => radio.send({ type: 'report', report: report(name, { type: 'crashed', how }) })

/** The lowest number that no other tab has. A Web Lock reserves it as long as this page lives. */
async function takeSeat(number = 1): Promise<number> {
  const taken = await new Promise<boolean>((resolve) => {
    navigator.locks.request(`storelock-demo seat ${number}`, { ifAvailable: true }, (lock) => {
      resolve(lock !== null)
      return lock && new Promise(() => {})
    })
  })
  return taken ? number : takeSeat(number + 1)
}

/** Resets the counters if no other page has the demo open. */
export async function clearIfAlone(clear: () => Promise<unknown>): Promise<void> {
  await navigator.locks.request('storelock-demo', { ifAvailable: true }, async (lock) => {
    if (lock) await clear()
  })
  await new Promise<void>((resolve) => {
    navigator.locks.request('storelock-demo', { mode: 'shared' }, () => {
      resolve()
      return new Promise(() => {})
    })
  })
}
