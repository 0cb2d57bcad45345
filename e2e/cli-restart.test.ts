import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { Program } from './cli/program.ts'
import { withProgram } from './cli/setup.ts'

// `storelock run --timeout` with a lock server that ends and comes back.
const place = withProgram()

const storelock = (...args: readonly string[]): Program => new Program([process.execPath, place.main, ...args], { cwd: place.folder })

async function serve(listen = '0'): Promise<{ readonly server: Program; readonly url: string; readonly port: string }> {
  const server = storelock('serve', '--store', 'app.db', '--listen', listen)
  const url = await server.shows(/^serving app\.db at (http:\/\/127\.0\.0\.1:\d+)$/m)
  return { server, url, port: new URL(url).port }
}

describe('a run with --timeout', { timeout: 60_000 }, () => {
  test.each(['SIGKILL', 'SIGTERM'] as const)('goes on waiting when its server ends by %s and comes back', async (signal) => {
    const { server, url, port } = await serve()
    const holder = storelock('run', 'job', '--store', url, '--duration', '20s', '--', 'sh', '-c', 'echo begun; read -r line')
    await holder.shows(/(begun)/)
    const waiter = storelock('run', 'job', '--store', url, '--timeout', '40s', '--verbose', '--', 'echo', 'mine')
    await waiter.shows(/(held by)/)
    server.child.kill(signal)
    await server.code().catch(() => {})
    // Long enough for the waiter to notice.
    await sleep(3_000)
    await serve(port)
    holder.child.stdin?.end('\n')
    expect([await waiter.code(), waiter.printed]).toEqual([0, 'mine\n'])
    expect(await holder.code()).toBe(0)
  })

  test('waits for a server that is still starting', async () => {
    const { server, url, port } = await serve()
    server.child.kill('SIGKILL')
    await server.code().catch(() => {})
    const waiter = storelock('run', 'job', '--store', url, '--timeout', '30s', '--', 'echo', 'mine')
    await waiter.shows(/(refused the connection)/)
    await serve(port)
    expect([await waiter.code(), waiter.printed]).toEqual([0, 'mine\n'])
  })

  test('ends with 124 if its server does not come back, and says so', async () => {
    const { server, url } = await serve()
    server.child.kill('SIGKILL')
    await server.code().catch(() => {})
    const waiter = storelock('run', 'job', '--store', url, '--timeout', '1s', '--', 'true')
    expect(await waiter.code()).toBe(124)
    expect(waiter.said).toContain('is the lock server running?')
  })

  test('does not wait if a restart of the server cannot help', async () => {
    const { url } = await serve()
    const waiter = storelock('run', 'x'.repeat(2_000), '--store', url, '--timeout', '30s', '--', 'true')
    expect(await waiter.code()).toBe(125)
  })
})
