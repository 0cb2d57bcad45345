import { slug } from 'github-slugger'
import { defineConfig } from 'vitepress'
import { copyLinkedFiles, filesOfRepository } from './repository-files.ts'
import { sidebar } from './sidebar.ts'

export default defineConfig({
  lang: 'en',
  title: 'storelock',
  description: 'Locks that live in the store they protect: across tabs, processes and machines.',
  // A site below a path, such as /storelock/, needs to know it when it is built.
  base: process.env.DOCS_BASE ?? '/',
  outDir: '../out/docs',
  cacheDir: '../out/docs-cache',
  head: [['link', { rel: 'icon', href: 'data:,' }]],
  // The index of the search has all pages in one piece.
  vite: { build: { chunkSizeWarningLimit: 5_000 } },
  markdown: {
    // The same pages are read on GitHub and from the package, so headings have the same anchors there and here.
    anchor: { slugify: slug },
    config: (md) => md.use(filesOfRepository),
  },
  // Its title is the site's.
  transformPageData: ({ relativePath }) => (relativePath === 'index.md' ? { titleTemplate: false } : undefined),
  buildEnd: ({ outDir }) => copyLinkedFiles(outDir),
  themeConfig: {
    nav: [
      { text: 'Start', link: '/start' },
      { text: 'Concepts', link: '/concepts' },
      { text: 'Which store?', link: '/decide' },
      { text: 'FAQ', link: '/faq' },
      { text: 'API', link: '/api/' },
    ],
    sidebar: sidebar(),
    // Its index is part of the site, so it needs no network.
    search: {
      provider: 'local',
      // What explains comes before the reference, which has every word.
      options: { miniSearch: { searchOptions: { boostDocument: (id: string) => (id.includes('/api/') ? 0.2 : 1) } } },
    },
    outline: { level: [2, 3], label: 'On this page' },
    externalLinkIcon: true,
  },
})
