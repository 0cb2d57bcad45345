import { build } from 'vitepress'
import { writeApi } from './api.ts'
import { deadLinks, deadLinksOfSite } from './links.ts'
import { docs, pages, root, site } from './pages.ts'

/** Builds the site into `out/docs`. @throws Error if a link leads nowhere, or a docstring has a fault */
export async function buildSite(): Promise<void> {
  refuse(deadLinks(root, [...pages().map((page) => `docs/${page}`), 'README.md', 'CONTRIBUTING.md', 'CHANGELOG.md']))
  await writeApi()
  await build(docs)
  refuse(deadLinksOfSite(site, process.env.DOCS_BASE ?? '/'))
}

function refuse(dead: readonly string[]): void {
  if (dead.length) throw new Error(`These links lead nowhere:\n${dead.map((line) => `  ${line}`).join('\n')}`)
}
