import { equal, outcome, truthy } from '../expect.ts'
import { beat, type Fact, held, line, one, queued, release, request, runAhead } from './play.ts'

/** Several stores on one place. */
export const sharing: Record<string, Fact> = {
  'a store sees what another store on the same place wrote': async (store, { place, open }) => {
    if (place.alone) return
    const other = await open()
    const token = await line(store, 'a', 'b')
    equal(held(await other.read('k')), ['a'], 'holders')
    const [granted] = outcome(await one(other, release('a', token)), 'done').grants
    equal(granted?.session, 'b', 'granted')
    equal((await store.read('k'))?.holders[0]?.token, granted?.token, 'token')
  },

  'what a store wrote is still there when its place is opened again': async (store, { place, open }) => {
    if (place.alone) return
    const token = await line(store, 'a', 'b')
    await store.close()
    const again = await open()
    equal([held(await again.read('k')), queued(await again.read('k'))], [['a'], ['b 1-1']], 'record')
    outcome(await one(again, release('a', token)), 'done')
  },

  'a token that one store dropped is never given out by another': async (store, { place, open }) => {
    if (place.alone) return
    const other = await open()
    await other.apply([beat('b'), request('b', 1, { key: 'another' })])
    const last = await runAhead(store, 'a')
    await store.apply([{ type: 'sweep', key: 'k' }])
    const { token } = outcome(await one(other, request('b', 2)), 'granted').holder
    truthy(token > last, `a token above ${last}`)
  },

  'commands of two stores that take turns are in order': async (store, { place, open }) => {
    if (place.alone) return
    const stores = [store, await open()]
    await store.apply([beat('a'), beat('b')])
    let last = 0
    for (let number = 1; number <= 30; number++) {
      // Each store has two turns, so that its cache is up to date once and outdated once.
      const [session, at] = number % 4 < 2 ? (['a', stores[0]] as const) : (['b', stores[1]] as const)
      truthy(at, 'a store')
      const { token, previous } = outcome(await one(at, request(session, number)), 'granted').holder
      truthy(token > last && previous === last, `a token that follows ${last}`)
      last = token
      outcome(await one(at, release(session, token)), 'done')
    }
  },

  'two stores on one place grant a lock once': async (store, { place, open }) => {
    if (place.alone) return
    const other = await open()
    await store.apply([beat('a'), beat('b')])
    for (let number = 1; number <= 20; number++) {
      const both = await Promise.all([
        one(store, request('a', number, { ifAvailable: true })),
        one(other, request('b', number, { ifAvailable: true })),
      ])
      const grants = both.flatMap((each) => (each.type === 'granted' ? [each.holder] : []))
      equal(grants.length, 1, 'grants')
      for (const { session, token } of grants) await store.apply([release(session, token)])
    }
  },
}
