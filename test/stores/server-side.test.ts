import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

/** Runs a page's module in Node, as a rendering server does. @returns its output, once it has ended by itself */
async function render(module: string): Promise<string> {
  const source = `
    const { createLocks } = await import(${JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)})
    const { indexedDBStore } = await import(${JSON.stringify(new URL('../../src/stores/indexeddb.ts', import.meta.url).href)})
    ${module}`
  const args = ['--import', 'tsx', '--input-type=module', '--eval', source]
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { timeout: 50_000 })
  return stdout + stderr
}

test('a store and locks that a module creates are silent on a server, and do not keep it alive', { timeout: 60_000 }, async () => {
  const said = await render(`
    const ask = () => {
      console.log('asked for a database')
      return Promise.reject(new Error('there is none on a server'))
    }
    for (const store of [indexedDBStore('app'), indexedDBStore(ask, { name: 'theirs' })]) {
      const locks = createLocks({ store, label: 'a page' })
      locks.reentrant('crypto')
    }`)
  expect(said).toBe('')
})

test('on a server a request for a lock in IndexedDB is refused with the reason, and does not keep the server alive', {
  timeout: 60_000,
}, async () => {
  const said = await render(`
    const locks = createLocks({ store: indexedDBStore('app') })
    await locks.acquire('job').catch(({ code, message }) => console.log(code, message))`)
  expect(said).toMatch(/^store there is no IndexedDB here for the database "app": .*\n$/)
})
