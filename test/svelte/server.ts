import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build, type Plugin } from 'esbuild'
import type { Locks } from 'storelock'
import { root } from '../house/installed.ts'

/** Renders the page of `e2e/pages/` on the server side, with Svelte 5 or 4. @returns its HTML */
export async function renderOnServer(version: 'svelte' | 'svelte-4', folder: string, locks: Locks, props: object): Promise<string> {
  const { compile } = createRequire(import.meta.url)(`${version}/compiler`)
  const components: Plugin = {
    name: 'components',
    setup(build) {
      build.onLoad({ filter: /\.svelte$/ }, ({ path }) => ({
        contents: compile(readFileSync(path, 'utf8'), { filename: path, generate: version === 'svelte' ? 'server' : 'ssr' }).js.code,
      }))
    },
  }
  const pages = join(root, 'e2e/pages')
  const contents = `
    import App from './svelte/App.svelte'
    import panel from './${folder}/Panel.svelte'
    import { readable } from 'svelte/store'
    ${version === 'svelte' ? `import { render } from 'svelte/server'` : ''}
    export function page(locks, given) {
      const props = { locks, shown: readable({ panel, props: given }) }
      return ${version === 'svelte' ? 'render(App, { props }).body' : 'App.render(props).html'}
    }`
  const outfile = join(root, `out/svelte-server/${version}-${process.pid}.mjs`)
  await build({
    stdin: { contents, resolveDir: pages },
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    alias: version === 'svelte' ? {} : { svelte: 'svelte-4' },
    plugins: [components],
    logLevel: 'warning',
  })
  const { page } = await import(pathToFileURL(outfile).href)
  return page(locks, props)
}
