import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import ts from 'typescript'

/** Source files by their path below `src/`, with `/` between the parts. */
export type Sources = ReadonlyMap<string, string>

export const readSources = (folder: string): Sources =>
  new Map(
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .map((path) => path.replaceAll('\\', '/'))
      .filter((path) => path.endsWith('.ts'))
      .map((path) => [path, readFileSync(join(folder, path), 'utf8')]),
  )

interface Rule {
  /** The files below `src/` that it may import, and folders, ending in `/`. */
  readonly sees: readonly string[]
  /** Whether it may import packages and Node's modules. */
  readonly packages?: boolean
}

const rules: Readonly<Record<string, Rule>> = {
  'protocol/': { sees: ['protocol/'] },
  'store.ts': { sees: ['protocol/'] },
  'transport.ts': { sees: [], packages: true },
  'channels/': { sees: ['channels/', 'store.ts', 'transport.ts'], packages: true },
  'beacons/': { sees: ['store.ts'], packages: true },
  // The HTTP store and the server share only the types of their messages. Stores on engines that answer asynchronously share `remote.ts`.
  'stores/': { sees: ['protocol/', 'store.ts', 'channels/', 'beacons/', 'transport.ts', 'server/wire.ts', 'stores/remote.ts'], packages: true },
  'locks/core/': { sees: ['locks/core/', 'protocol/'] },
  'locks/': { sees: ['locks/', 'protocol/', 'store.ts'] },
  'server/': {
    sees: [
      'server/',
      'protocol/',
      'store.ts',
      'locks/clock.ts',
      'locks/dead.ts',
      'locks/core/silence.ts',
      'locks/core/observer.ts',
      'locks/watch.ts',
      'stores/sqlite/driver.ts',
      'stores/sqlite/transaction.ts',
      'stores/sqlite/text.ts',
      'stores/remote/notes.ts',
      'stores/postgres/beside.ts',
    ],
    packages: true,
  },
  // The server's page is a client of its server.
  'inspector/': { sees: ['inspector/', 'locks/', 'core.ts', 'protocol/', 'stores/http.ts', 'server/wire.ts', 'server/visible.ts'] },
  'frameworks/': { sees: ['locks/types.ts', 'protocol/'] },
  'react/': { sees: ['frameworks/', 'locks/types.ts'], packages: true },
  'vue/': { sees: ['frameworks/', 'locks/types.ts'], packages: true },
  'svelte/': { sees: ['frameworks/', 'locks/types.ts'], packages: true },
  'web-locks/': { sees: ['web-locks/', 'locks/', 'beacons/web-locks.ts'] },
  'index.ts': { sees: ['locks/', 'protocol/', 'store.ts'] },
  'core.ts': { sees: ['locks/', 'protocol/'] },
  'worker/': { sees: ['worker/', 'locks/', 'protocol/', 'store.ts', 'beacons/'], packages: true },
  'cli/': {
    sees: [
      'cli/',
      'index.ts',
      'inspector/changes.ts',
      'inspector/waits.ts',
      'inspector/words.ts',
      'locks/clock.ts',
      'locks/core/grant.ts',
      'locks/sweep.ts',
      'server/',
      'stores/',
      'channels/',
      'beacons/',
      'protocol/',
      'store.ts',
    ],
    packages: true,
  },
  'testing/': { sees: ['testing/', 'locks/clock.ts', 'locks/noop.ts', 'protocol/', 'store.ts'] },
}

/** Every import that breaks its file's rule, as `file: import`, and every file without a rule. */
export function forbiddenImports(sources: Sources): string[] {
  return [...sources].flatMap(([file, text]) => {
    const rule = rules[layerOf(file)]
    if (!rule) return [`${file}: no rule for ${layerOf(file)}`]
    return importsOf(text)
      .filter((specifier) => !allowed(rule, file, specifier))
      .map((specifier) => `${file}: ${specifier}`)
  })
}

/** The modules that a file imports, or exports from, including types and `import()`. */
const importsOf = (text: string): string[] => ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName)

/** The file's top-level folder in `src/`, or the file itself if it is directly in `src/`. */
const layerOf = (file: string): string => /^[^/]+\/?/.exec(file)?.[0] ?? file

function allowed(rule: Rule, file: string, specifier: string): boolean {
  if (!specifier.startsWith('.')) return rule.packages === true
  const target = posix.join(posix.dirname(file), specifier)
  // The parts of `stores/x.ts` are in `stores/x/`; they may import each other, and no other store may import them.
  const [, parts = ''] = /^([^/]+\/[^/.]+)/.exec(file) ?? []
  if (parts && target.startsWith(`${parts}/`)) return true
  return rule.sees.some((seen) => (seen.endsWith('/') ? target.startsWith(seen) : target === seen))
}

/** Files that import each other in a ring, also by types. Each ring lists its files so that each imports the next. */
export function importRings(sources: Sources): string[][] {
  const rings: string[][] = []
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): void => {
    const at = path.indexOf(file)
    if (at >= 0) rings.push(path.slice(at))
    if (at >= 0 || done.has(file)) return
    const targets = importsOf(sources.get(file) ?? '').map((specifier) => posix.join(posix.dirname(file), specifier))
    for (const target of targets) if (sources.has(target)) visit(target, [...path, file])
    done.add(file)
  }
  for (const file of sources.keys()) visit(file, [])
  return rings
}
