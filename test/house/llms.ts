// Writes `llms.txt`, the summary of the documentation for language models, in the format of llmstxt.org: `npm run llms`.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(import.meta.dirname, '../..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')

/** The purpose of each entry of the package, by its name in `exports`. */
const entries: Readonly<Record<string, string>> = {
  '.': '`createLocks`: `request` (shaped like Web Locks), `acquire`, `tryAcquire`, `query`, `reentrant`, `whenFree`, administration; `LockError`; `noopLocks`',
  './core': '`createLocks` with the other methods as functions, for small bundles',
  './stores/memory': '`memoryStore()`, within one process',
  './stores/indexeddb': '`indexedDBStore(name or database)`, across tabs and workers of one origin',
  './stores/sqlite': '`sqliteStore(path or handle)`, across processes of one machine; with better-sqlite3 or node:sqlite',
  './stores/http': '`httpStore(url)`, the client of the lock server',
  './stores/postgres': '`postgresStore(url or pool)`, across machines; with pg',
  './stores/redis': '`redisStore(url or client)`, across machines; with redis or ioredis',
  './stores/etcd': '`etcdStore(members)`, across machines',
  './stores/remote': '`remoteStore(engine)`, to make a store of a database of your own',
  './server': '`serve(store)` and `createHandler(store)`, the lock server; `verifyOffline`',
  './worker': '`expose` and `wrap`, for locks that a worker keeps for a page',
  './protocol': 'the rules of a lock, hierarchical keys, and the types of a store',
  './inspector': '`mountInspector(locks)`, a panel for development that shows locks at work',
  './react': '`LocksProvider`, `useLock`, `useLeader`',
  './vue': '`useLock` and `useLeader` for Vue',
  './svelte': '`useLock` and `useLeader` for Svelte',
  './web-locks': '`installWebLocks`, to take the place of `navigator.locks`',
  './testing': '`storeSuite` for stores of your own, and a clock that tests move',
}

/** Rules for code that uses the library, which the types do not show. */
const rules = [
  'Durations and timeouts are milliseconds.',
  'A lock is a lease: its holder may lose it. Pass `lock.signal` to what you await, and write through `store.transaction(lock, …)`, which refuses the write if the lock was lost. `lock.isHeld()` alone does not protect a write that comes later.',
  '`request` releases when its callback settles. `acquire` returns a handle: `await using lock = await locks.acquire(name)`, or `release()` in a `finally`.',
  'Calls that do not wait return contention as a value (`tryAcquire` gives `null`). A lost lock, or an operation that is impossible, is a `LockError` with a `code`.',
  'Call `createLocks` once for each context (tab, worker, process) and share it. `locks.close()` releases everything; close the store separately.',
  'Give `sqliteStore` your open handle if your program opens the file itself: two copies of SQLite in one process do not exclude each other.',
]

/** A page's line: its title, and the first sentence of the paragraph below it. Undefined if the page has no title. */
export function lineOf(path: string, text: string): string | undefined {
  const [, title, below = ''] = /^# (.+)\n+([\s\S]*)/m.exec(text.replace(/^---\n[\s\S]*?\n---\n/, '')) ?? []
  if (!title) return undefined
  const paragraph = (below.split('\n\n')[0] ?? '').replace(/\s+/g, ' ').trim()
  const plain = paragraph.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
  const sentence = /^([#|>*<:-]|\d+\. |```)/.test(plain) ? '' : (/^.*?[.:](?= |$)/.exec(plain)?.[0] ?? '').replace(/:$/, '.')
  return `- [${title}](${path})${sentence && `: ${sentence}`}`
}

export function makeLlms(): string {
  const { description, exports } = JSON.parse(read('package.json')) as { description: string; exports: Record<string, unknown> }
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z', 'docs'], { cwd: root, encoding: 'utf8' })
  const pages = listed.split('\0').filter((path) => path.endsWith('.md') && existsSync(join(root, path)))
  const lines = pages.sort().flatMap((path) => lineOf(path, read(path)) ?? [])
  const names = Object.keys(exports).filter((name) => name !== './package.json')
  return [
    '# storelock',
    `> ${description}`,
    'Node 20.19 or newer, browsers, Bun and Deno; ES modules, with types. `npm install storelock`; for SQLite on a Node older than 22.13 also `npm install better-sqlite3`.',
    `\`\`\`ts
import { createLocks } from 'storelock'
import { sqliteStore } from 'storelock/stores/sqlite'

const store = sqliteStore('app.db')
const locks = createLocks({ store })
await locks.request('report', async (lock) => {
  await store.transaction(lock, (tx) => tx.exec("INSERT INTO reports VALUES (datetime())"))
})
await locks.close()
await store.close()
\`\`\``,
    `## Rules\n\n${rules.map((rule) => `- ${rule}`).join('\n')}`,
    `## Entries\n\n${names.map((name) => `- \`${name.replace(/^\./, 'storelock')}\`${entries[name] ? `: ${entries[name]}` : ''}`).join('\n')}`,
    `## Documentation\n\n- [README](README.md): everything from the first lock to the figures.\n${lines.join('\n')}`,
    '## Optional\n\n- [Changelog](CHANGELOG.md)\n- [Contributing](CONTRIBUTING.md): commands, and a map of the source.\n- [Security](SECURITY.md)\n',
  ].join('\n\n')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(join(root, 'llms.txt'), makeLlms())
