import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { InlineConfig, Plugin } from 'vite'

/** The first module of a page whose modules can be replaced, and the module to replace. */
export interface Hot {
  readonly main: string
  readonly panel: string
}

/** A framework, with a page whose only component requests a lock. */
export interface Framework {
  /** The start of its version number. */
  readonly version: string
  /** The first module of a page without hot replacement. */
  readonly main: string
  readonly hot?: Hot
  /** Whether new options that are equal by value count as unchanged. */
  readonly comparesByValue: boolean
  config(hot: boolean): InlineConfig
}

const pages = '/e2e/pages'

/** React is not ESM, so Vite has to bundle it first. */
const react = (names: Readonly<Record<string, string>>): InlineConfig => ({
  resolve: { alias: Object.entries(names).map(([name, replacement]) => ({ find: new RegExp(`^${name}(?=/|$)`), replacement })) },
  optimizeDeps: { noDiscovery: true, include: ['react', 'react-dom/client'] },
})

const reactPages = {
  comparesByValue: true,
  main: `${pages}/react/main.ts`,
  hot: { main: `${pages}/react/hot.ts`, panel: `${pages}/react/panel.ts` },
}

/**
 * Compiles components with the compiler of this Svelte package.
 * @param parts modules that the compiled code imports as well
 */
function svelte(name: 'svelte' | 'svelte-4', options: object, parts: readonly string[]): InlineConfig {
  const { compile, VERSION } = createRequire(import.meta.url)(`${name}/compiler`)
  const components: Plugin = {
    name: `Svelte ${VERSION}`,
    transform: (code, id) => (id.endsWith('.svelte') ? { code: compile(code, { filename: id, dev: true, ...options }).js.code } : undefined),
  }
  const alias = [
    // Only TypeScript reads the paths of `tsconfig.json`.
    { find: 'storelock/svelte', replacement: fileURLToPath(new URL('../../../src/svelte/index.ts', import.meta.url)) },
    { find: /^svelte(?=\/|$)/, replacement: name },
  ]
  const include = ['svelte', ...['store', 'internal/disclose-version', ...parts].map((part) => `svelte/${part}`)]
  return { plugins: [components], resolve: { alias }, optimizeDeps: { noDiscovery: true, include } }
}

export const react19: Framework = { ...reactPages, version: '19.', config: () => react({}) }
export const react18: Framework = { ...reactPages, version: '18.', config: () => react({ react: 'react-18', 'react-dom': 'react-dom-18' }) }

export const vue3: Framework = {
  version: '3.',
  comparesByValue: true,
  main: `${pages}/vue/main.ts`,
  hot: { main: `${pages}/vue/hot.ts`, panel: `${pages}/vue/panel.ts` },
  config: () => ({
    // Vue's build for bundlers wants these.
    define: { __VUE_OPTIONS_API__: 'true', __VUE_PROD_DEVTOOLS__: 'false', __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: 'false' },
    optimizeDeps: { noDiscovery: true, include: ['vue'] },
  }),
}

export const svelte5: Framework = {
  version: '5',
  comparesByValue: true,
  main: `${pages}/svelte/main.ts`,
  hot: { main: `${pages}/svelte/main.ts`, panel: `${pages}/svelte/Panel.svelte` },
  config: (hmr) => svelte('svelte', { hmr }, ['internal/client', 'internal/flags/legacy']),
}

export const svelte4: Framework = {
  version: '4',
  comparesByValue: false,
  main: `${pages}/svelte-4/main.ts`,
  config: () => svelte('svelte-4', {}, ['internal']),
}
