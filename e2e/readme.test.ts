import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { codeOf } from '../test/house/samples.ts'
import { describeEachEngine, eachAfresh } from './engines/each.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const [sample = ''] = codeOf(readFileSync(`${root}README.md`, 'utf8'), 'ts')

let server: Server
let url: string
beforeAll(async () => {
  const stdin = { contents: sample, loader: 'ts', resolveDir: root } as const
  const { outputFiles } = await build({ stdin, bundle: true, format: 'esm', target: 'es2022', write: false, logLevel: 'silent' })
  const page = '<!doctype html><link rel="icon" href="data:,"><title></title><script type="module" src="/main.js"></script>'
  server = createServer(({ url }, response) => {
    const isScript = url === '/main.js'
    response.setHeader('Content-Type', isScript ? 'text/javascript' : 'text/html')
    response.end(isScript ? outputFiles[0]?.text : page)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
})
afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

describeEachEngine((engine) => {
  eachAfresh(engine)

  describe('the README’s sample for tabs', () => {
    test('makes two tabs count one after the other, so no count is lost', async () => {
      const tabs = await Promise.all([engine().open(url), engine().open(url)])
      const titles = tabs.map((tab) =>
        tab.evaluate(
          () =>
            new Promise<string>((resolve) => {
              const look = () => (document.title ? resolve(document.title) : setTimeout(look, 10))
              look()
            }),
        ),
      )
      expect((await Promise.all(titles)).sort()).toEqual(['1', '2'])
    })
  })
})
