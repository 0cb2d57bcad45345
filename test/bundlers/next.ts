// Builds an app with each of Next's bundlers, with no SQLite driver installed; then serves the app and has it take a lock.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { component, route } from './apps.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const packages = ['next@16.4.6', 'react@19.3.1', 'react-dom@19.3.1']
const folder = mkdtempSync(join(tmpdir(), 'storelock-next-'))
const env = { ...process.env, NEXT_TELEMETRY_DISABLED: '1', LOCKS: join(folder, 'locks.db') }

const put = (name: string, text: string): void => {
  const path = join(folder, name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

const run = (command: string, ...args: string[]): void => {
  console.log([command, ...args].join(' '))
  execFileSync(command, args, { cwd: folder, env, stdio: 'inherit', timeout: 600_000, shell: process.platform === 'win32' })
}

const next = join(folder, 'node_modules/next/dist/bin/next')
const driver = join(folder, 'node_modules/better-sqlite3')

/** Serves the built app, and resolves with its answer to each path. */
async function answers(paths: readonly string[]): Promise<string[]> {
  const server = spawn(process.execPath, [next, 'start', '--port', '0', '--hostname', '127.0.0.1'], {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 2],
  })
  try {
    let said = ''
    for await (const text of server.stdout ?? []) {
      said += text
      const [origin] = /http:\/\/127\.0\.0\.1:[1-9]\d*/.exec(said) ?? []
      if (origin) return await Promise.all(paths.map(async (path) => (await fetch(origin + path)).text()))
    }
    throw new Error(`the server ended: ${said}`)
  } finally {
    server.kill()
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
  }
}

try {
  put('package.json', JSON.stringify({ name: 'somebody-elses', private: true }))
  put('app/layout.js', 'export default ({ children }) => <html lang="en"><body>{children}</body></html>')
  put('app/page.js', component)
  put('app/take/route.js', route)
  execFileSync('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  })
  run('npm', 'install', '--no-audit', '--no-fund', '--legacy-peer-deps', ...packages, './storelock-0.1.0.tgz')
  for (const bundler of ['--turbopack', '--webpack']) {
    rmSync(driver, { force: true })
    run(process.execPath, next, 'build', bundler)
    symlinkSync(join(root, 'node_modules/better-sqlite3'), driver, 'junction')
    const [taken = '', page = ''] = await answers(['/take', '/'])
    if (taken !== 'written' || !page.includes('the lock is')) throw new Error(`built by next build ${bundler}, it answers: ${taken}\n${page}`)
    console.log(`next build ${bundler}: a lock was taken and a page rendered`)
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
