import { openDB } from 'idb'
import { createLocks } from 'storelock'
import { indexedDBStore, upgradeIndexedDB } from 'storelock/stores/indexeddb'
import { type News, type Report, report } from '../messages.ts'
import { brisk, duration, leisurely, maxBackoff, standstill } from '../settings.ts'
import { createWriter } from '../turns.ts'
import { watch } from '../watch.ts'
import { indexedDBLedger, type LedgerSchema, upgradeLedger } from './ledger.ts'
import { buttons } from './play.ts'
import { show, showLedger, title } from './view.ts'

// A tab that the runner opened is named by it; a person's own tab names itself, once.
const given = new URLSearchParams(location.search).get('name')
sessionStorage.name ??= `tab ${100 + Math.floor(Math.random() * 900)}`
const name = given ?? String(sessionStorage.name)
title(name)

// The lock lives in the database that it protects; the application opens it and brings its own object stores.
const db = await openDB<LedgerSchema>('storelock-demo', 1, {
  upgrade(fresh) {
    upgradeIndexedDB(fresh)
    upgradeLedger(fresh)
  },
})
const locks = createLocks({ store: indexedDBStore(db), label: name, duration, maxBackoff })
const ledger = indexedDBLedger(db)

const hear = (told: Report) => {
  show(told)
  globalThis.tellRunner?.(told)
  if (told.type === 'sight') void ledger.latest(40).then(showLedger)
}
const tell = (news: News) => hear(report(name, news))

function standStill(): void {
  const end = performance.now() + standstill
  while (performance.now() < end);
}

const writer = createWriter({ name, locks, ledger, pace: given ? brisk : leisurely, standStill, tell: hear })
globalThis.demo = { obey: (order) => writer.obey(order), entries: () => ledger.entries() }
buttons(writer)
tell({ type: 'ready' })
void watch(locks, ledger, tell)
