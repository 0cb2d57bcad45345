import init from '@sqlite.org/sqlite-wasm'
import { type OpenDatabase, openDatabase } from './database.ts'

/** The orders that a page sends its worker. */
export type DatabaseOrder = { readonly sql: string } | 'open' | 'open without the lock'

let open: OpenDatabase | undefined

async function obey(order: DatabaseOrder): Promise<unknown> {
  if (order === 'open') {
    open = await openDatabase('/app.db')
    open.wanted.addEventListener('abort', () => {
      const closing = open
      open = undefined
      closing?.close()
    })
    return 'open'
  }
  if (order === 'open without the lock') {
    return (await init()).installOpfsSAHPoolVfs({}).then(
      () => 'open',
      (error) => error.name,
    )
  }
  return open ? open.db.exec(order.sql, { returnValue: 'resultRows' }) : 'closed'
}

addEventListener('message', async ({ data }: MessageEvent<DatabaseOrder>) => {
  postMessage(await obey(data).catch(String))
})
