import type { BrowserContext } from 'playwright-core'
import { chromium } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { launchOptions } from './browser.ts'
import { driveStorage, type StorageDriver } from './engines/chromium-storage.ts'
import { type Site, servePages } from './pages/serve.ts'

// A fault at each single step. Only Chromium's driver can cause these. `connection.test.ts` has some in each engine.

/** The faults, each with the path that causes it. The page requests it synchronously, so the fault is there before the next step. */
const storms = {
  'closes the database by force': '/torn-by-driver',
  'clears the site’s storage, as a logout does': '/clear-site-data',
  'clears the site’s storage, as a person can': '/cleared-by-driver',
}
/** Only every `stride`-th step gets a fault: all of them, with STORELOCK_STRIDE=1, take ten minutes. */
const stride = Number(process.env.STORELOCK_STRIDE ?? 6)

/** How the calls of one round ended. */
interface Fates {
  /** How many steps there were. */
  readonly steps: number
  readonly unsettled: readonly string[]
  readonly healed: boolean
}

/** Makes all calls on two stores of one database, with a fault right after the `at`-th step. Runs in the page. */
async function suffer({ at, storm, name }: { at: number; storm: string; name: string }): Promise<Fates> {
  const { createLocks, indexedDBStore } = storelock
  let steps = 0
  const step = (): void => {
    steps += 1
    if (steps !== at) return
    const request = new XMLHttpRequest()
    request.open('GET', storm, false)
    request.send()
  }
  const { transaction } = IDBDatabase.prototype
  const { get, put } = IDBObjectStore.prototype
  IDBDatabase.prototype.transaction = function (...given) {
    const tx = transaction.apply(this, given)
    tx.addEventListener('complete', step)
    step()
    return tx
  }
  const stepping = <Given extends unknown[]>(original: (...given: Given) => IDBRequest) =>
    function (this: IDBObjectStore, ...given: Given): IDBRequest {
      const request = original.apply(this, given)
      if (this.transaction.mode !== 'versionchange') request.addEventListener('success', step)
      return request
    }
  IDBObjectStore.prototype.get = stepping(get)
  IDBObjectStore.prototype.put = stepping(put) as typeof put

  const stores = [indexedDBStore(name), indexedDBStore(name)] as const
  const all = stores.map((store) => createLocks({ store, duration: 600, maxBackoff: 20, onWarning() {} }))
  const [one, two] = all as [(typeof all)[number], (typeof all)[number]]
  const unsettled: string[] = []
  const settled = <T>(what: string, made: Promise<T>): Promise<T | undefined> =>
    new Promise((resolve) => {
      const timer = setTimeout(() => {
        unsettled.push(what)
        resolve(undefined)
      }, 15_000)
      made
        .catch(() => undefined)
        .then((value) => {
          clearTimeout(timer)
          resolve(value)
        })
    })

  const held = await settled('acquire', one.acquire('l'))
  const waits = [
    settled('a wait of the holder’s session', one.acquire('l')),
    settled('a wait of another', two.acquire('l')),
    settled(
      'a request',
      two.request('l', () => undefined),
    ),
  ]
  const served = waits.map(async (wait) => {
    const lock = await wait
    if (lock) await settled('the release of one that waited', lock.release())
  })
  await settled('query', one.query())
  const tried = await settled('tryAcquire', two.tryAcquire('m'))
  if (tried) await settled('the release of one that was tried', tried.release())
  if (held) {
    const write = stores[0].transaction(
      held,
      [],
      async (tx) => void (await new Promise((resolve) => (tx.objectStore('storelock-fence').get('l').onsuccess = resolve))),
    )
    await settled('transaction', write)
    await settled('renew', held.renew())
    await settled('release', held.release())
  }
  await Promise.all(served)
  await settled('whenFree', one.whenFree('l'))
  const use = async (): Promise<void> => (await two.acquire('after')).release()
  // The fault may hit more than one of these calls.
  const heal = (): Promise<void> => use().catch(() => use().catch(use))
  const healed =
    (await settled(
      'an acquire after it',
      heal().then(() => true),
    )) === true
  await Promise.all(all.map((locks) => settled('close', locks.close())))
  for (const store of stores) await settled('the end of a store', store.close())
  IDBDatabase.prototype.transaction = transaction
  IDBObjectStore.prototype.get = get
  IDBObjectStore.prototype.put = put
  indexedDB.deleteDatabase(name)
  return { steps, unsettled, healed }
}

describe('in chromium', () => {
  let site: Site
  let context: BrowserContext
  let driver: StorageDriver

  beforeAll(async () => {
    site = await servePages()
    context = await (await chromium.launch(await launchOptions())).newContext()
    driver = await driveStorage(context, new URL(site.url).origin)
    await context.route('**/*-by-driver', async (route) => {
      await (route.request().url().endsWith(storms['closes the database by force']) ? driver.tear() : driver.clear())
      await route.fulfill({ body: '' })
    })
  })

  afterAll(async () => {
    await context?.browser()?.close()
    await site?.close()
  })

  test.each(Object.entries(storms))('a browser that %s, at any step of any call, leaves no call unsettled', { timeout: 600_000 }, async (_, path) => {
    const page = await context.newPage()
    const found: Fates[] = []
    for (let at = 1, last = 1; at <= last; at += stride) {
      if (found.length % 30 === 0) await page.goto(site.url)
      const fates = await page.evaluate(suffer, { at, storm: path, name: `torn ${path} ${at}` })
      last = Math.max(last, fates.steps)
      found.push(fates)
      if (fates.unsettled.length) break
    }
    expect(found.flatMap(({ unsettled }, index) => unsettled.map((call) => `${call}, at step ${1 + index * stride}`))).toEqual([])
    expect(found.filter(({ healed }) => !healed)).toEqual([])
    expect(found.length).toBeGreaterThan(50 / stride)
    await page.close()
  })
})
