import { slug } from 'github-slugger'
import { defineConfig } from 'vitepress'
import { copyLinkedFiles, filesOfRepository } from './repository-files.ts'
import { sidebar } from './sidebar.ts'

export default defineConfig({
  lang: 'en',
  title: 'storelock',
  description: 'Locks that live in the store they protect: across tabs, processes and machines.',
  // A site below a path, such as /storelock/, must know the path when it is built.
  base: process.env.DOCS_BASE ?? '/',
  outDir: '../out/docs',
  cacheDir: '../out/docs-cache',
  head: [['link', { rel: 'icon', href: 'data:,' }]],
  // The search index has all pages in one chunk.
  vite: { build: { chunkSizeWarningLimit: 5_000 } },
  markdown: {
    // The pages are also read on GitHub and from the package, so headings must have the same anchors.
    anchor: { slugify: slug },
    config: (md) => md.use(filesOfRepository),
  },
  // The title of the index page is that of the site.
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
    // The index is part of the site, so search needs no network.
    search: {
      provider: 'local',
      // Ranks explanations before the reference, which contains every word.
      options: { miniSearch: { searchOptions: { boostDocument: (id: string) => (id.includes('/api/') ? 0.2 : 1) } } },
    },
    outline: { level: [2, 3], label: 'On this page' },
    externalLinkIcon: true,
  },
})
