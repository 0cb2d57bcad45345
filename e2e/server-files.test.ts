import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createLocks } from '../src/index.ts'
import { type LockServer, serve } from '../src/server/index.ts'
import type { Store } from '../src/store.ts'
import { httpStore } from '../src/stores/http.ts'
import { sqliteStore } from '../src/stores/sqlite.ts'
import { fileServer } from '../test/examples/file-server.ts'
import { lockedFiles, verifyAt } from '../test/examples/locked-files.ts'
import { describeEachEngine, eachAfresh } from './engines/each.ts'

const script = fileURLToPath(new URL('../test/examples/locked-edit.sh', import.meta.url))

describeEachEngine((engine) => {
  eachAfresh(engine)

  let folder: string
  let store: Store
  let server: LockServer
  let files: Server

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  })

  afterEach(async () => {
    files.closeAllConnections()
    files.close()
    await server.close()
    await store.close()
    rmSync(folder, { recursive: true, force: true })
  })

  test.skipIf(process.platform === 'win32')(
    'L4: a page and a shell script edit one file in turn, and no line is lost',
    { timeout: 120_000 },
    async () => {
      const tab = await engine().open(engine().page)
      const { origin } = new URL(engine().page)
      store = sqliteStore(join(folder, 'locks.db'))
      server = await serve(store, { origins: [origin] })
      files = lockedFiles(fileServer(folder), verifyAt(server.url), origin).listen(0, '127.0.0.1')
      await once(files, 'listening')
      const url = `http://127.0.0.1:${(files.address() as AddressInfo).port}`

      const inPage = tab.evaluate(
        async ([locksUrl, url]) => {
          const store = storelock.httpStore(locksUrl)
          const locks = storelock.createLocks({ store })
          for (let turn = 1; turn <= 5; turn++) await storelock.edit(locks, store, url, 'notes', (text) => `${text}\npage ${turn}`)
          await locks.close()
        },
        [server.url, url] as const,
      )
      const inShell = async (): Promise<void> => {
        for (let turn = 1; turn <= 5; turn++) await promisify(execFile)(script, [server.url, url, 'notes', `shell ${turn}`])
      }
      await Promise.all([inPage, inShell()])

      const onlooker = httpStore(server.url)
      const locks = createLocks({ store: onlooker })
      const lock = await locks.acquire('notes')
      const text = await (await fetch(`${url}/notes`, { headers: { 'lock-token': onlooker.lockToken(lock) } })).text()
      const [fromPage, fromShell] = ['page', 'shell'].map((who) => text.split('\n').filter((line) => line.startsWith(who)))
      const five = (who: string): string[] => [1, 2, 3, 4, 5].map((turn) => `${who} ${turn}`)
      expect([fromPage, fromShell]).toEqual([five('page'), five('shell')])
      await locks.close()
      await onlooker.close()
    },
  )
})
