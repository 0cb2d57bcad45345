import { defineConfig } from 'vite'

export default defineConfig({
  // The page imports the sources by the names that users import.
  resolve: { tsconfigPaths: true },
  base: './',
  build: {
    target: 'es2022',
    // The page and its workers share one script, and in a worker Vite's preload code would fail, since there is no document.
    modulePreload: false,
    assetsDir: '.',
    license: { fileName: 'LICENSES.md' },
  },
})
