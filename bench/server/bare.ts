import { once } from 'node:events'
import { Agent, request as ask, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import type { Role } from '../processes.ts'
import { answerCpu } from './served.ts'

/** The bytes of a batch that takes or releases a lock, and of its answer. */
const request = 200
const reply = 800

/** A server of plain Node, which reads JSON and answers with as much JSON as the lock server. */
export const bareServer: Role<unknown> = async (_, starter) => {
  const text = JSON.stringify('-'.repeat(reply - 2))
  const server = createServer(async (incoming, outgoing) => {
    await json(incoming)
    outgoing.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length }).end(text)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  starter.say('url', `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  answerCpu(starter)
  return async () => {
    server.closeAllConnections()
    server.close()
  }
}

const agent = new Agent({ keepAlive: true })

/** Sends two such requests, as for an acquire and a release. */
export async function askTwice(url: string): Promise<void> {
  const body = JSON.stringify('-'.repeat(request - 2))
  const headers = { 'content-type': 'application/json', 'content-length': body.length }
  for (let time = 0; time < 2; time++) {
    const asking = ask(url, { method: 'POST', agent, headers }).end(body)
    const [answer] = await once(asking, 'response')
    await json(answer)
  }
}
