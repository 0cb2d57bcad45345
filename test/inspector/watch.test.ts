import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { killAll, Program } from '../../e2e/cli/program.ts'
import { withProgram } from '../../e2e/cli/setup.ts'
import { stateOf } from '../../src/cli/state.ts'
import { watchHead, watchRows } from '../../src/cli/watched.ts'
import { createLocks, type Locks, type Store } from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'

describe('the rows of `watch`', () => {
  it('show each holder with its token and last beat, and the waiters with their release requests', async () => {
    const store = memoryStore()
    const [one, two] = [createLocks({ store, label: 'one', duration: 6_000 }), createLocks({ store, label: 'two' })]
    const lock = await one.acquire('job')
    await one.pin('job', 'ticket 7')
    const waits = [two.acquire('job', { ask: 'soon' }), two.acquire('job', { ask: 'soon' })]
    await two.query()
    const [view] = await store.list()
    const since = view?.holders[0]?.since ?? 0
    const [first, second, ...others] = watchRows(stateOf(view as NonNullable<typeof view>, since + 2_000), since + 2_000)
    expect(first?.length).toBe(watchHead.length)
    expect(first).toEqual([
      'job',
      'one',
      'exclusive',
      '2s',
      expect.stringMatching(/s ago$/),
      expect.stringMatching(/s$/),
      `${lock.token}`,
      'ticket 7',
    ])
    expect(second).toEqual(['  1. waits', 'two (2 requests)', 'exclusive', 'asks "soon"', '', '', '', ''])
    expect(others).toEqual([])
    const settled = Promise.allSettled(waits)
    await Promise.all([one.close(), two.close()])
    await settled
  })

  it('say how many more waiters there are than rows', async () => {
    const store = memoryStore()
    const all = Array.from({ length: 8 }, (_, index) => createLocks({ store, label: `${index}` }))
    const asked = all.map((locks) => locks.acquire('job'))
    const settled = Promise.allSettled(asked)
    await asked[0]
    for (const locks of all) await locks.query()
    const [view] = await store.list()
    const rows = watchRows(stateOf(view as NonNullable<typeof view>))
    expect(rows.map(([key]) => key)).toEqual(['job', ...[1, 2, 3, 4, 5].map((place) => `  ${place}. waits`), '  and 2 more'])
    expect(new Set(rows.map((row) => row.length))).toEqual(new Set([watchHead.length]))
    await Promise.all(all.map((locks) => locks.close()))
    await settled
  })
})

describe('`watch`, of two processes that wait for each other', { timeout: 60_000 }, () => {
  const place = withProgram()
  let stores: Store[]
  let one: Locks
  let two: Locks

  beforeEach(async () => {
    stores = [0, 1].map(() => sqliteStore(join(place.folder, 'storelock.db')))
    one = createLocks({ store: stores[0] as Store, label: 'one' })
    two = createLocks({ store: stores[1] as Store, label: 'two' })
    await one.acquire('a')
    await two.acquire('b')
    for (const wait of [one.acquire('b'), two.acquire('a')]) wait.catch(() => {})
  })
  afterEach(async () => {
    killAll()
    await Promise.all([one.close(), two.close()])
    for (const store of stores) await store.close()
  })

  it('prints an event that names the cycle, once', async () => {
    const watching = new Program([process.execPath, place.main, 'watch', '--json', '--interval', '20ms'], { cwd: place.folder })
    const cycle = JSON.parse(await watching.shows(/^(.*"event":"cycle".*)$/m))
    expect(cycle.cycle).toHaveLength(2)
    expect(cycle.cycle).toContainEqual({ session: one.session, name: 'b', on: two.session })
    expect(cycle.who).toContain('one waits for "b", which two holds')
    await one.acquire('another')
    await watching.shows(/("key":"another")/)
    expect(watching.printed.match(/"event":"cycle"/g)).toHaveLength(1)
  })

  it('shows the cycle above the table on a terminal', async () => {
    const command = `"${process.execPath}" "${place.main}" watch --interval 20ms`
    const watching = new Program(['script', '-qec', command, '/dev/null'], { cwd: place.folder, env: { ...process.env, NO_COLOR: '1' } })
    await watching.shows(/(cycle {2}.*waits for .*)\r\nKEY +HOLDER +MODE +HELD FOR +RENEWED +EXPIRES IN +TOKEN/)
  })
})
