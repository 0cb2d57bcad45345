// A process with its own locks: `context.ts <start, as JSON>`. Its parent sends it orders over Node's IPC.
import { appendFileSync } from 'node:fs'
import { createLocks, type HeldLock, type LockError } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { type Got, type Line, type News, now, type Order, type Orders, type Start, type State } from './orders.ts'

const { file, label, duration, maxBackoff, linger } = JSON.parse(process.argv[2] ?? '') as Start
const tell = (news: News) => void process.send?.(news)

const locks = createLocks({
  store: sqliteStore(file),
  duration,
  maxBackoff,
  ...(label !== undefined && { label }),
  ...(linger !== undefined && { linger }),
  onWarning: ({ type, error }) => tell({ type: 'warning', warning: type, code: error.code }),
})

let lock: HeldLock | undefined

const mine = (): HeldLock => {
  if (!lock) throw new Error('this process has had no lock yet')
  return lock
}

const got = (taken: HeldLock): Got => {
  const at = now()
  lock = taken
  const { token, signal } = taken
  signal.addEventListener('abort', () => tell({ type: 'aborted', code: (signal.reason as LockError).code, at: now() }))
  return { token, at }
}

function state(): State {
  const taken = mine()
  // `isHeld` comes first, so that nothing else can have noticed the loss before it.
  const held = taken.isHeld()
  const { aborted, reason } = taken.signal
  return { held, aborted, thrown: codeOf(() => taken.assertHeld()), reason: (reason as LockError | undefined)?.code }
}

function codeOf(run: () => void): string | undefined {
  try {
    run()
  } catch (error) {
    return (error as LockError).code
  }
  return undefined
}

const orders: Orders = {
  acquire: async (name, options) => got(await locks.acquire(name, options)),
  async tryAcquire(name, options) {
    const taken = await locks.tryAcquire(name, options)
    return taken && got(taken)
  },
  async renew() {
    const sent = now()
    await mine().renew()
    return sent
  },
  async release() {
    await mine().release()
    return now()
  },
  state,
  query: (name) => locks.query(name),
  async whenFree(name) {
    await locks.whenFree(name)
    return now()
  },
  standStill(least) {
    const taken = mine()
    let last = now()
    process.kill(process.pid, 'SIGSTOP')
    // The signal takes effect a moment after it was sent.
    for (let time = now(); time - last < least; time = now()) last = time
    lock = taken
    return state()
  },
  async turns(name, count, ledger) {
    const write = (event: Line['event'], token = 0) =>
      appendFileSync(ledger, `${JSON.stringify({ event, who: `${process.pid}`, token } satisfies Line)}\n`)
    for (let turn = 0; turn < count; turn++) {
      write('ask')
      await locks.request(name, async (held) => {
        held.assertHeld()
        write('enter', held.token)
        // Gives other processes a chance to run while this one is inside.
        await new Promise((resolve) => setImmediate(resolve))
        held.assertHeld()
        write('leave', held.token)
      })
    }
  },
  wallTime: () => Date.now(),
}

process.on('message', async ({ id, does, args }: Order) => {
  try {
    const result: unknown = await (orders[does] as (...args: unknown[]) => unknown)(...args)
    tell({ type: 'answer', id, result })
  } catch (error) {
    const { code, message } = error as LockError
    tell({ type: 'answer', id, error: { code, message } })
  }
})
// Without its parent the process has nothing to do.
process.on('disconnect', () => process.exit())
tell({ type: 'ready' })
