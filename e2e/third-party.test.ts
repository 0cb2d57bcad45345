import { describe, expect, test } from 'vitest'
import { describeEachEngine, eachAfresh, needs } from './engines/each.ts'
import type { Tab } from './engines/engine.ts'

describeEachEngine((engine) => {
  eachAfresh(engine)

  const open = (): Promise<Tab> => engine().open(new URL('../third-party/index.html', engine().page).href)

  /** Opens two tabs: the first leads and the second waits. */
  async function elect(): Promise<[leader: Tab, other: Tab]> {
    const leader = await open()
    await leader.evaluate(() => election.stand('first'))
    await leader.evaluate(() => election.leads())
    const other = await open()
    await other.evaluate(() => election.stand('second'))
    return [leader, other]
  }

  const isLeader = (page: Tab) => page.evaluate(() => election.isLeader())

  describe('tab-election, a library that does not know of these locks', () => {
    test('elects one leader, with our locks and not with the browser’s', async () => {
      const [leader, other] = await elect()
      expect([await isLeader(leader), await isLeader(other)]).toEqual([true, false])
      const { ours, browsers } = await other.evaluate(() => election.query())
      expect(ours[0]).toBe(1)
      expect(ours[1]).toBeGreaterThanOrEqual(1)
      expect(browsers).toEqual([0, 0])
    })

    test('lets the other tab call the leader and get its messages', async () => {
      const [leader, other] = await elect()
      expect(await other.evaluate(() => election.whoLeads())).toBe('first')
      const heard = other.evaluate(() => election.state('hello'))
      await leader.evaluate(() => election.setState('hello'))
      await heard
    })

    test.for<[string, (leader: Tab) => Promise<unknown>]>([
      ['resigns', (leader) => leader.evaluate(() => election.resign())],
      ['is closed', (leader) => leader.close()],
      ['crashes', (leader) => leader.crash()],
    ])('elects the other tab when the leader %s', async ([how, leave], { skip }) => {
      if (how === 'crashes') needs('crash', engine(), skip)
      const [leader, other] = await elect()
      await leave(leader)
      await other.evaluate(() => election.leads())
      expect(await other.evaluate(() => election.whoLeads())).toBe('second')
    })
  })
})
