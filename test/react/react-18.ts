import { createRequire } from 'node:module'
import { join } from 'node:path'
import { buildSync } from 'esbuild'
import type { Plugin } from 'vite'

const root = join(import.meta.dirname, '../..')
const names = ['react', 'react-dom/client', 'react-dom/server']

/** Replaces React by React 18. React 18's packages require each other by names that belong to React 19 here, so they are bundled. */
export function react18(): Plugin {
  const outfile = join(root, `out/react-18-${process.pid}.cjs`)
  let exported: Record<string, object> | undefined
  const bundle = (): Record<string, object> => {
    buildSync({
      stdin: { contents: `module.exports = {${names.map((name) => `'${name}': require('${name}')`)}}`, resolveDir: root },
      outfile,
      bundle: true,
      platform: 'node',
      alias: { react: 'react-18', 'react-dom': 'react-dom-18' },
    })
    return createRequire(outfile)(outfile)
  }
  return {
    name: 'React 18',
    enforce: 'pre',
    resolveId: (id) => (names.includes(id) ? `\0React 18: ${id}` : undefined),
    load(id) {
      const name = names.find((each) => id === `\0React 18: ${each}`)
      if (!name) return undefined
      exported ??= bundle()
      return `
        import { createRequire } from 'node:module'
        export const { ${Object.keys(exported[name] ?? {})} } = createRequire(import.meta.url)(${JSON.stringify(outfile)})['${name}']`
    },
  }
}
