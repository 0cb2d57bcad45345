import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { serve } from 'storelock/server'
import { memoryStore } from 'storelock/stores/memory'
import { describe, expect, it } from 'vitest'
import { root } from './installed.ts'

const page = readFileSync(join(root, 'docs/lock-server.md'), 'utf8')
const local = 'http://127.0.0.1:7420'

/** The shell examples, except the script that gets all its values as arguments. */
const blocks = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, code = '']) => code).filter((code) => !code.startsWith('#!'))

interface Shown {
  readonly method: string
  readonly path: string
}

const shown = blocks
  .flatMap((block) => block.split(/^curl /m).slice(1))
  .map((command): Shown => ({ method: / -d /.test(command) ? 'post' : 'get', path: /\$LOCKS([^\s"?]*)/.exec(command)?.[1] ?? '' }))

const isPath = (described: string) => new RegExp(`^${described.replaceAll(/\{\w+\}/g, '[^/]+')}$`)

describe('docs/lock-server.md', () => {
  it.skipIf(process.platform === 'win32')('shows curl commands that all succeed, one after the other', async () => {
    const store = memoryStore()
    const server = await serve(store)
    const folder = mkdtempSync(join(tmpdir(), 'storelock-'))
    const script = ['set -eu', ...blocks].join('\n')
    expect(script).toContain(local)
    const { stdout } = await promisify(execFile)('sh', ['-c', script.replaceAll(local, server.url)], { cwd: folder })
    for (const part of [
      '"granted":true',
      '"renewed":true',
      '"released":true',
      '"granted"',
      '"valid":true',
      '"done"',
      '"ended"',
      'storelock_request_seconds',
    ])
      expect(stdout).toContain(part)
    expect(stdout).not.toContain('"type":"failed"')
    expect(await store.read('notes')).toMatchObject({ holders: [], queue: [] })
    await server.close()
    rmSync(folder, { recursive: true })
  })

  it('shows every route of the OpenAPI description, and no other except the description itself', async () => {
    const server = await serve(memoryStore())
    const { paths } = (await (await fetch(`${server.url}/openapi.json`)).json()) as { paths: Record<string, object> }
    await server.close()
    const described = Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => ({ method, path })))
    const is = (one: Shown, other: Shown): boolean => one.method === other.method && isPath(other.path).test(one.path)
    expect(described.length).toBeGreaterThan(5)
    expect(described.filter((route) => !shown.some((one) => is(one, route)))).toEqual([])
    const others = shown.filter((one) => !described.some((route) => is(one, route))).map(({ path }) => path)
    expect(others).toEqual(['/openapi.json'])
  })
})
