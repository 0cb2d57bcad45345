/** A function that takes a lock in a SQLite file and makes a fenced write under it. */
const take = `
async function take(file) {
  const store = sqliteStore(file)
  const locks = createLocks({ store })
  const said = await locks.request('job', (lock) =>
    store.transaction(lock, (tx) => {
      tx.exec('CREATE TABLE IF NOT EXISTS notes (text)')
      tx.prepare('INSERT INTO notes VALUES (?)').run('held')
      return 'written'
    }))
  await locks.close()
  await store.close()
  return said
}`

const imports = `
import { createLocks } from 'storelock'
import { sqliteStore } from 'storelock/stores/sqlite'`

/** For Node. */
export const program = `${imports}${take}
take(process.argv[2]).then(console.log)`

/** For Node: a lock server, and a client that takes a lock there. */
export const servedProgram = `
import { createLocks } from 'storelock'
import { serve } from 'storelock/server'
import { httpStore } from 'storelock/stores/http'
import { memoryStore } from 'storelock/stores/memory'
async function main() {
  const server = await serve(memoryStore())
  const store = httpStore(server.url)
  const locks = createLocks({ store })
  const said = await locks.request('job', (lock) => (store.lockToken(lock) ? 'served' : 'not served'))
  const described = await (await fetch(server.url + '/openapi.json')).json()
  const figures = await (await fetch(server.url + '/metrics')).text()
  await locks.close()
  await store.close()
  await server.close()
  return described.paths['/v1/apply'] && figures.includes('storelock_holders') ? said : 'not described'
}
main().then(console.log)`

/** For Next: a route of its server. */
export const route = `${imports}${take}
export const dynamic = 'force-dynamic'
export const GET = async () => new Response(await take(process.env.LOCKS))`

/** For the browser: creates its locks as the module loads, as most apps do. */
export const page = `
import { createLocks } from 'storelock'
import { indexedDBStore } from 'storelock/stores/indexeddb'
const locks = createLocks({ store: indexedDBStore('app') })
export const whoHolds = () => locks.query()
if (globalThis.document) document.title = 'loaded'`

/** A client component for Next, which Next's server renders too. */
export const component = `'use client'
import { LocksProvider, useLock } from 'storelock/react'
${page.trim()}
function Job() {
  const { status } = useLock('job')
  return <p>the lock is {status}</p>
}
export default function Page() {
  return <LocksProvider value={locks}><Job /></LocksProvider>
}`
