import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { until } from './cli/program.ts'
import type { Tab } from './engines/engine.ts'
import { type Served, startEngine } from './engines/index.ts'
import type {} from './recipes/socket-page.ts'

let engine: Served
let server: WebSocketServer
let url: string
let heard: string[]
/** How many sockets have ever connected. */
let connected: number
let joined = 0

beforeAll(async () => {
  engine = await startEngine('chromium')
  return () => engine.close()
})
beforeEach(async () => {
  server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`
  heard = []
  connected = 0
  server.on('connection', (socket) => {
    connected++
    socket.on('message', (message) => heard.push(`${message}`))
  })
})
afterEach(async () => {
  await engine.reset()
  for (const client of server.clients) client.terminate()
  server.close()
})
afterAll(() => expect(engine.errors).toEqual([]))

/** Opens a tab with a version of the app. Resolves when the server has heard from the tab, so that the tab also hears the server. */
const join = async (version: string): Promise<Tab> => {
  const tab = await engine.open(new URL('../recipes/socket.html', engine.page).href)
  const ready = `ready ${joined++}`
  await tab.evaluate(
    ([url, version, ready]) => {
      socket.join(url, version)
      socket.send(ready)
    },
    [url, version, ready] as [string, string, string],
  )
  await until(() => heard.includes(ready))
  return tab
}

const say = (message: string): void => {
  for (const client of server.clients) client.send(message)
}
const hears = (tab: Tab, message: string) => until(() => tab.evaluate((message) => socket.heard.includes(message), message))

describe('the recipe for one socket', () => {
  test('tabs of two versions of an app share one socket, and each message is sent once', async () => {
    const tabs = [await join('1'), await join('1'), await join('2')]
    heard = []
    for (const [index, tab] of tabs.entries()) await tab.evaluate((text) => socket.send(text), `from ${index}`)
    await until(() => heard.length >= 3)
    say('hello')
    for (const tab of tabs) await hears(tab, 'hello')
    expect([heard.toSorted(), connected, server.clients.size]).toEqual([['from 0', 'from 1', 'from 2'], 1, 1])
    expect(await tabs[2]?.evaluate(() => socket.heard)).toEqual(['hello'])
  })

  test('the other version’s worker connects when the last tab of the connected worker is closed', async () => {
    const first = await join('1')
    const second = await join('2')
    await first.close()
    await until(() => connected === 2)
    say('hello')
    await hears(second, 'hello')
    await until(() => server.clients.size === 1)
  })

  test('a message that a tab sends after the connected worker has ended is sent by the next worker', async () => {
    const [first, second] = [await join('1'), await join('2')]
    await first.close()
    await until(() => server.clients.size === 0 || connected === 2)
    await second.evaluate(() => socket.send('later'))
    await until(() => heard.includes('later'))
    await until(() => connected === 2)
  })

  test('the worker reopens a socket that the server closes', async () => {
    const tab = await join('1')
    for (const client of server.clients) client.terminate()
    await until(() => connected === 2)
    say('hello')
    await hears(tab, 'hello')
  })
})
