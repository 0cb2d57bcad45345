// RxDB's free storage in browsers is Dexie, in the version that `npm test` uses. RxDB itself is 77 MB, so only this command installs and
// tests it: tabs of each engine count in one document, each time under a lock.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { enginesHere } from '../engines/engine.ts'
import { startEngine } from '../engines/index.ts'
import { serveBare } from '../pages/harmless/serve.ts'

const packages = ['rxdb@17.6.0', 'rxjs@7.8.2']
const tabs = 3
const times = 10

/** A source file of ours, as an import for a page outside the repository. */
const source = (name: string): string => JSON.stringify(fileURLToPath(new URL(`../../src/${name}`, import.meta.url)))

const page = `
import { createRxDatabase } from 'rxdb/plugins/core'
import { getRxStorageDexie } from 'rxdb/plugins/storage-dexie'
import { createLocks } from ${source('index.ts')}
import { indexedDBStore } from ${source('stores/indexeddb.ts')}

const warned = []
const locks = createLocks({ store: indexedDBStore('locks'), onWarning: ({ error }) => warned.push(error.message) })
const schema = {
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: { id: { type: 'string', maxLength: 20 }, count: { type: 'number' } },
  required: ['id', 'count'],
}

globalThis.count = async (times) => {
  const db = await createRxDatabase({ name: 'app', storage: getRxStorageDexie(), multiInstance: true })
  const { counts } = await db.addCollections({ counts: { schema } })
  let highest = 0
  let together = 0
  for (let time = 0; time < times; time++)
    await locks.request('count', async () => {
      if (localStorage.getItem('inside')) together += 1
      localStorage.setItem('inside', 'yes')
      const found = (await counts.findOne('all').exec()) ?? (await counts.insertIfNotExists({ id: 'all', count: 0 }))
      highest = (await found.incrementalModify((doc) => ({ ...doc, count: doc.count + 1 }))).count
      localStorage.removeItem('inside')
    })
  return { highest, together, warned }
}`

declare global {
  var count: (times: number) => Promise<{ readonly highest: number; readonly together: number; readonly warned: readonly string[] }>
}

const folder = mkdtempSync(join(tmpdir(), 'storelock-rxdb-'))
let failed = false
try {
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'somebody-elses', private: true, type: 'module' }))
  writeFileSync(join(folder, 'page.js'), page)
  const install = ['install', '--no-audit', '--no-fund', '--legacy-peer-deps', '--ignore-scripts', ...packages]
  execFileSync('npm', install, { cwd: folder, stdio: 'inherit', timeout: 600_000, shell: process.platform === 'win32' })
  const site = await serveBare(new URL(`file://${join(folder, 'page.js')}`))
  for (const name of enginesHere()) {
    const engine = await startEngine(name)
    const pages = []
    for (let tab = 0; tab < tabs; tab++) pages.push(await engine.open(site.url))
    const results = await Promise.all(pages.map((tab) => tab.evaluate((times) => count(times), times)))
    await engine.close()
    const right =
      Math.max(...results.map(({ highest }) => highest)) === tabs * times && results.every(({ together, warned }) => !together && !warned.length)
    console.log(`${name}: ${right ? 'right' : `WRONG: ${JSON.stringify(results)}`}`)
    failed ||= !right
  }
  await site.close()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.exit(failed ? 1 : 0)
