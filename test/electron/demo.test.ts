import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { listen, type Turn, writerOver } from '../../demo/electron/ledger.ts'
import { type News, takeTurns } from '../../demo/electron/take-turns.ts'
import { wrap } from '../../src/worker/index.ts'
import { startUtility, type Utility } from './ports.ts'

const hold = 20

// Each test starts several processes.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 })

let folder: string
let file: string
let utility: Utility
const threads: Worker[] = []
let over: AbortController

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'storelock-electron-'))
  file = join(folder, 'app.db')
  over = new AbortController()
  utility = await startUtility(file, hold)
})

afterEach(async () => {
  over.abort()
  for (const thread of threads.splice(0)) await thread.terminate()
  await utility.close()
  rmSync(folder, { recursive: true, force: true })
})

/** A thread that takes turns like a window of the demo. */
function openWindow(who: string, itsHold = hold): Worker {
  const [tsx, program] = [import.meta.resolve('tsx/esm/api'), new URL('window.ts', import.meta.url).href]
  const code = `import { register } from ${JSON.stringify(tsx)}; register(); await import(${JSON.stringify(program)})`
  const port = utility.connect()
  const workerData = { port, who, hold: itsHold }
  const thread = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), { workerData, transferList: [port] })
  threads.push(thread)
  return thread
}

/** Resolves with a thread's next news in this state. */
async function hears<State extends News['state']>(thread: Worker, state: State): Promise<Extract<News, { state: State }>> {
  for (;;) {
    const [news] = (await once(thread, 'message')) as [News]
    if (news.state === state) return news as Extract<News, { state: State }>
  }
}

/** Lets this process take turns like the demo's main process. */
function takePart(who: string): void {
  const port = utility.connect()
  takeTurns(wrap(port, { label: who }), writerOver(port, who), () => {}, over.signal, hold)
}

/** Resolves with all turns as soon as they satisfy the predicate. */
const turns = (are: (turns: readonly Turn[]) => boolean): Promise<readonly Turn[]> =>
  new Promise((resolve) => {
    const db = new Database(file, { readonly: true })
    const port = utility.connect()
    listen(port, () => {
      // A closed port still delivers the messages that had arrived.
      if (!db.open) return
      const all = db.prepare('SELECT number, who, token FROM turns ORDER BY number').all() as Turn[]
      if (!are(all)) return
      port.close()
      db.close()
      resolve(all)
    })
  })

test('the main process, two windows and the utility process take turns, and no write is lost', async () => {
  takePart('main')
  openWindow('window 1')
  openWindow('window 2')
  const all = await turns((all) => all.length >= 40 && new Set(all.map(({ who }) => who)).size === 4)
  expect(all.map(({ number }) => number)).toEqual(all.map((_, index) => index + 1))
  const tokens = all.map(({ token }) => token)
  expect(tokens).toEqual([...new Set(tokens)].sort((one, other) => one - other))
})

test('the lock of a window that crashes goes to the next waiter at once', async () => {
  const thread = openWindow('window 1', 3_600_000)
  await hears(thread, 'holding')
  const before = (await turns(() => true)).length
  await thread.terminate()
  await turns((all) => all.length > before)
})

test('the late write of a window that hung while it held the lock is refused', async () => {
  const thread = openWindow('window 1', 300)
  await hears(thread, 'holding')
  const failed = hears(thread, 'failed')
  thread.postMessage(4_500)
  expect((await failed).why).toMatch(/lost "ledger"/)
  expect((await turns(() => true)).filter(({ who }) => who === 'utility').length).toBeGreaterThan(0)
})

test('when the utility process is killed, calls from other processes fail, and the next utility process continues the turns', async () => {
  const thread = openWindow('window 1')
  await hears(thread, 'wrote')
  const failed = hears(thread, 'failed')
  utility.process.kill('SIGKILL')
  await failed
  const db = new Database(file, { readonly: true })
  const { last } = db.prepare('SELECT max(number) AS last FROM turns').get() as { last: number }
  db.close()
  await utility.close()
  utility = await startUtility(file, hold)
  const all = await turns((all) => all.length > last)
  expect(all.map(({ number }) => number)).toEqual(all.map((_, index) => index + 1))
})
