import { Agent, request } from 'node:http'
import type { ApplyReply, WireCommand } from '../../src/server/wire.ts'

/** Figures of the server's process since the last report. */
export interface Figures {
  /** In bytes. */
  readonly rss: number
  /** In bytes. */
  readonly heapUsed: number
  /** In ms. */
  readonly longestTurn: number
}

const token = (name: string): string => `${name}-9f86d081884c7d659a2feaa0c55ad015`

export const clients = [
  { name: 'user', token: token('user'), prefixes: ['user/'] },
  { name: 'attacker', token: token('attacker'), prefixes: ['attacker/'] },
  { name: 'operator', token: token('operator'), admin: true },
]

export interface Answer {
  readonly status: number
  readonly text: string
}

/** One client of the server, with connections of its own. */
export class Caller {
  readonly #url: string
  readonly #headers: Readonly<Record<string, string>>
  readonly #agent = new Agent({ keepAlive: true })

  constructor(url: string, name: string, key: string) {
    this.#url = url
    this.#headers = { authorization: `Bearer ${token(name)}`, 'storelock-client': key.padEnd(16, '-'), 'content-type': 'application/json' }
  }

  send(method: 'GET' | 'POST', path: string, body?: unknown, more: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const asked = request(this.#url + path, { method, headers: { ...this.#headers, ...more }, agent: this.#agent }, (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk) => {
          text += chunk
        })
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
        response.on('error', reject)
      })
      asked.on('error', reject)
      asked.end(body === undefined ? undefined : JSON.stringify(body))
    })
  }

  /** @throws Error if the batch as a whole was refused */
  async apply(...commands: readonly WireCommand[]): Promise<ApplyReply> {
    const { status, text } = await this.send('POST', '/v1/apply', { commands })
    if (status !== 200) throw new Error(`${status}: ${text}`)
    return JSON.parse(text)
  }

  close(): void {
    this.#agent.destroy()
  }
}

export const beat = (session: string): WireCommand => ({ type: 'beat', session, client: 'soak', lease: 60_000, opens: true })

export const ask = (session: string, key: string, number: number): Extract<WireCommand, { type: 'request' }> => ({
  ...{ type: 'request', key, session, client: 'soak', number, mode: 'exclusive', confirm: 5_000 },
})
