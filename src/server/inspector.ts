import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Caller } from './access.ts'
import { answer } from './answers.ts'
import type { InspectorReply } from './wire.ts'

/** The paths of the inspector. They reveal nothing and need no credential: a page cannot send one before it is loaded. */
export const inspectorPaths: ReadonlySet<string> = new Set(['/', '/inspector.js', '/inspector/me'])

/** The page may run only this server's code, send requests only to this server, and not be put into a frame. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ')

const headers = {
  'content-security-policy': policy,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-cache',
}

const page = `<!doctype html>
<html lang="en">
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width">
  <link rel="icon" href="data:,">
  <title>Lock server</title>
  <script type="module" src="inspector.js"></script>
  <body><noscript>This page needs JavaScript.</noscript></body>
</html>
`

let script: Promise<string> | undefined

/** The page's script: built with the package, or bundled now from the sources in the repository. */
async function readScript(): Promise<string> {
  const here = dirname(fileURLToPath(import.meta.url))
  // This code may be one of the server's modules, or be bundled with the command line.
  const built = ['.', '../server'].map((folder) => join(here, folder, 'inspector-page.js')).find((path) => existsSync(path))
  if (built !== undefined) return await readFile(built, 'utf8')
  // A name that no bundler follows: only the repository has this file.
  const build = pathToFileURL(join(here, '../../build.ts')).href
  return (await import(/* webpackIgnore: true */ /* @vite-ignore */ build)).bundleInspector()
}

const textOf = (text: string, type: string): Response =>
  new Response(text, { headers: { ...headers, 'content-type': `${type}; charset=utf-8`, 'content-length': String(Buffer.byteLength(text)) } })

/** Answers a request for one of the {@link inspectorPaths}. */
export async function answerInspector(path: string, caller: Caller): Promise<Response> {
  if (path === '/') return textOf(page, 'text/html')
  if (path === '/inspector/me') {
    const { name, admin, readOnly, mayAsk: ask } = caller
    const reply: InspectorReply = { signedIn: caller.prefixes.length > 0, name, admin, readOnly, ask }
    return textOf(JSON.stringify(reply), 'application/json')
  }
  script ??= readScript()
  try {
    return textOf(await script, 'text/javascript')
  } catch {
    script = undefined
    return answer(404, 'not-found', 'this installation of the server has no script for the page: its bundle left out inspector-page.js')
  }
}
