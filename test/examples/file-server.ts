import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

/** A file, and the highest token that anyone has come with for it. */
interface Saved {
  readonly token: number
  readonly body: string
}

/** Serves small text files from a folder, and refuses to write for whoever has an older token than someone who came before. */
export function fileServer(folder: string): Server {
  const pathOf = (name: string): string => join(folder, `${encodeURIComponent(name)}.json`)

  const load = (name: string): Saved => (existsSync(pathOf(name)) ? JSON.parse(readFileSync(pathOf(name), 'utf8')) : { token: 0, body: '' })

  // The token and the text stand in one file and are put in place by one rename: after a crash it is both old or both new.
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
    // Nothing below waits for anything, so no other request comes between the check and the write.
    const { token: highest, body } = load(name)
    if (sent !== undefined && token < highest) return response.writeHead(409).end(`token ${token} is older than ${highest}`)
    // A read leaves its token too: from then on, nobody with an older one can change what was read.
    if (sent !== undefined || token > highest) save(name, { token: Math.max(token, highest), body: sent ?? body })
    return response.end(sent ?? body)
  }

  // Of a request that is cut off, or that the disk refuses, nothing is written and nothing is answered.
  return createServer((request, response) => {
    answer(request, response).catch(() => response.destroy())
  })
}

/** Makes the rename last. */
function flushFolder(folder: string): void {
  const handle = openSync(folder, 'r')
  fsyncSync(handle)
  closeSync(handle)
}
