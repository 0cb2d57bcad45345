// Bundles the demo with the sources of this checkout, then starts it: `npx electron demo/electron`.
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'

const here = import.meta.dirname
const outdir = join(here, '../../out/electron')

/** @param {string} name @param {import('esbuild').BuildOptions} options */
const bundle = (name, options) =>
  build({ entryPoints: [join(here, `${name}.ts`)], outdir, bundle: true, target: 'es2022', external: ['electron'], logLevel: 'warning', ...options })

await Promise.all([
  bundle('main', { platform: 'node', format: 'esm', outExtension: { '.js': '.mjs' } }),
  bundle('utility', { platform: 'node', format: 'esm', outExtension: { '.js': '.mjs' } }),
  bundle('preload', { platform: 'node', format: 'cjs', outExtension: { '.js': '.cjs' } }),
  bundle('window', { platform: 'browser', format: 'iife' }),
])
copyFileSync(join(here, 'window.html'), join(outdir, 'window.html'))
await import(pathToFileURL(join(outdir, 'main.mjs')).href)
