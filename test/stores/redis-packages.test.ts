import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { lendRedis } from '../servers/redis.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'storelock-packages-'))
let server: Awaited<ReturnType<typeof lendRedis>>

beforeAll(async () => {
  server = await lendRedis()
  const entryPoints = [join(root, 'src/stores/redis.ts')]
  await build({ entryPoints, outfile: join(folder, 'redis.mjs'), bundle: true, platform: 'node', format: 'esm', external: ['redis', 'ioredis'] })
  writeFileSync(
    join(folder, 'list.mjs'),
    `
    import { redisStore } from './redis.mjs'
    const store = redisStore(process.argv[2], { prefix: 'packages' })
    console.log(JSON.stringify(await store.list().catch(({ code, message }) => ({ code, message }))))
    await store.close()`,
  )
})
afterAll(async () => {
  rmSync(folder, { recursive: true })
  await server.remove()
})

/** Runs a program that has only these packages. @returns its output */
async function listWith(...packages: string[]): Promise<unknown> {
  const modules = join(folder, 'node_modules')
  rmSync(modules, { recursive: true, force: true })
  mkdirSync(modules)
  for (const name of packages) symlinkSync(join(root, 'node_modules', name), join(modules, name))
  const { stdout } = await promisify(execFile)(process.execPath, [join(folder, 'list.mjs'), server.url])
  return JSON.parse(stdout)
}

test('a Redis store on a URL works with the package redis or with ioredis; without either it says what to install', async () => {
  expect(await listWith('redis')).toEqual([])
  expect(await listWith('ioredis')).toEqual([])
  expect(await listWith()).toEqual({ code: 'store', message: expect.stringContaining('npm install redis') })
})
