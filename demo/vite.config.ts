import { defineConfig } from 'vite'

export default defineConfig({
  // The page imports the sources by the names that users import.
  resolve: { tsconfigPaths: true },
  base: './',
  build: {
    target: 'es2022',
    // The page and its workers are one script, which must not touch a document where there is none.
    modulePreload: false,
    assetsDir: '.',
    license: { fileName: 'LICENSES.md' },
  },
})
