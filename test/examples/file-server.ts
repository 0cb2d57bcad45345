import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

/** A file, and the highest token of any request for it. */
interface Saved {
  readonly token: number
  readonly body: string
}

/** Serves small text files from a folder. Refuses a write whose token is lower than that of any earlier request for the file. */
export function fileServer(folder: string): Server {
  const pathOf = (name: string): string => join(folder, `${encodeURIComponent(name)}.json`)

  const load = (name: string): Saved => (existsSync(pathOf(name)) ? JSON.parse(readFileSync(pathOf(name), 'utf8')) : { token: 0, body: '' })

  // The token and the text are in one file, which one rename puts in place. After a crash, both are old or both are new.
  const save = (name: string, saved: Saved): void => {
    writeFileSync(`${pathOf(name)}.new`, JSON.stringify(saved), { flush: true })
    renameSync(`${pathOf(name)}.new`, pathOf(name))
    if (process.platform !== 'win32') flushFolder(folder)
  }

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<unknown> => {
    const name = String(request.url)
    const token = Number(request.headers['fencing-token'])
    if (!(Number.isSafeInteger(token) && token > 0)) return response.writeHead(400).end('which token?')
    const sent = request.method === 'PUT' ? await text(request) : undefined
    // The code below is synchronous, so no other request comes between the check and the write.
    const { token: highest, body } = load(name)
    if (sent !== undefined && token < highest) return response.writeHead(409).end(`token ${token} is older than ${highest}`)
    // A read records its token too: from then on, no client with an older token can change the text that was read.
    if (sent !== undefined || token > highest) save(name, { token: Math.max(token, highest), body: sent ?? body })
    return response.end(sent ?? body)
  }

  // A request that is cut off, or that fails at the disk, writes nothing and gets no answer.
  return createServer((request, response) => {
    answer(request, response).catch(() => response.destroy())
  })
}

/** Makes the rename durable. */
function flushFolder(folder: string): void {
  const handle = openSync(folder, 'r')
  fsyncSync(handle)
  closeSync(handle)
}
