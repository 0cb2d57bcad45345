// The client that `main.ts` starts: with a low-privilege credential, it does all the harm that it can until it is told to end.
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Answer, ask, beat, Caller, clients } from './shared.ts'

const url = process.argv[2] as string
const { port } = new URL(url)
const caller = new Caller(url, 'attacker', 'attacker')
const { token } = clients[1] as { token: string }
let round = 0

/** Each attack is repeated, and its answers are counted by status. */
const attacks: Record<string, () => Promise<Answer>> = {
  'refusals for the log': () =>
    caller.send('POST', '/v1/apply', {
      commands: Array.from({ length: 100 }, () => ({ type: 'release', key: 'attacker/x', session: 'none', token: 1 })),
    }),
  'renewals that fail': () =>
    caller.send('POST', '/v1/apply', {
      commands: Array.from({ length: 100 }, (_, n) => ({ type: 'beat', session: `none-${n}`, client: 'c', lease: 1_000 })),
    }),
  'long names': () =>
    caller.send('GET', `/v1/locks?prefix=attacker/${'x'.repeat(3_000)}`, undefined, { origin: `https://${'x'.repeat(8_000)}.example` }),
  'takes and releases': async () => {
    const session = 'spam'
    const key = `attacker/${'y'.repeat(2_000)}`
    const { lockTokens } = await caller.apply(beat(session), ask(session, key, ++round))
    const [ticket] = lockTokens
    if (ticket?.token === undefined) return { status: 0, text: '' }
    return await caller.send('POST', '/v1/apply', { commands: [{ type: 'release', key, session, token: ticket.token, lockToken: ticket.lockToken }] })
  },
  'sessions without end': () => caller.send('POST', '/v1/apply', { commands: Array.from({ length: 20 }, () => beat(`s-${++round}`)) }),
  'places without end': () => {
    const session = 'places'
    const metadata = 'z'.repeat(10_000)
    const asks = Array.from({ length: 40 }, () => ({ ...ask(session, 'attacker/line', ++round), metadata }))
    return caller.send('POST', '/v1/apply', { commands: [beat(session), ...asks] })
  },
  'topics and senders without end': () =>
    caller.send('POST', '/v1/apply', {
      commands: [],
      sender: `sender-${++round}`,
      topics: Array.from({ length: 500 }, (_, n) => `attacker/${round}-${n}`),
    }),
  'answers that nobody reads': async () => {
    const socket = connect({ port: Number(port), host: '127.0.0.1' })
    socket.on('error', () => {})
    socket.write(`GET /v1/locks HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token}\r\n\r\n`.repeat(120))
    await sleep(500)
    socket.destroy()
    return { status: 200, text: '' }
  },
  'the log, by a prefix that is nowhere': () => caller.send('GET', '/v1/log?limit=1000&prefix=attacker/nowhere'),
  'bodies that are none': () => caller.send('POST', '/v1/apply', Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`unknown-${n}`, n]))),
}

const counts: Record<string, Record<number, number>> = {}
const over = async (name: string, attack: () => Promise<Answer>): Promise<never> => {
  const statuses: Record<number, number> = {}
  counts[name] = statuses
  for (;;) {
    const { status } = await attack().catch(() => ({ status: 0 }))
    statuses[status] = (statuses[status] ?? 0) + 1
  }
}

process.on('message', () => process.send?.(counts, () => process.exit()))
process.on('disconnect', () => process.exit())
await Promise.all(Object.values(attacks).map((attack) => attack().catch(() => {})))
process.send?.('begun')
for (const [name, attack] of Object.entries(attacks)) over(name, attack)
