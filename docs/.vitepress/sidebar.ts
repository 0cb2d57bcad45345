import type { DefaultTheme } from 'vitepress'
import { pages, titleOf } from './pages.ts'

/** The order of known pages. A name that ends with a slash stands for all pages of that folder. */
const groups: readonly (readonly [title: string, names: readonly string[]])[] = [
  ['Begin', ['start', 'decide', 'concepts', 'guarantees', 'faq']],
  ['Use', ['calls', 'fencing', 'errors', 'frameworks', 'web-locks', 'worker', 'hidden-pages', 'testing', 'observing', 'inspector', 'where-it-runs']],
  ['Stores', ['choosing-a-store', 'stores/indexeddb', 'stores/sqlite', 'stores/servers', 'stores/', 'writing-a-store']],
  ['Lock server', ['lock-server', 'operations']],
  ['Shell', ['cli', 'scheduled-jobs', 'flock']],
  ['Recipes', ['recipes/']],
  ['Moving to storelock', ['migrating/']],
  ['Inside', ['model', 'scale', 'benchmarks', 'releases']],
  ['API reference', ['api/']],
]

/** The sidebar of all existing pages: the known ones in a fixed order, and the others below. */
export function sidebar(): DefaultTheme.SidebarItem[] {
  const left = new Set(pages())
  left.delete('index.md')
  const take = (name: string): string[] => {
    const found = [...left].filter((page) => (name.endsWith('/') ? page.startsWith(name) : page === `${name}.md`))
    for (const page of found) left.delete(page)
    return found
  }
  const item = (page: string): DefaultTheme.SidebarItem => ({ text: titleOf(page), link: `/${page.replace(/(^|\/)index\.md$|\.md$/, '$1')}` })
  const filled = groups.map(([text, names]) => ({ text, collapsed: names[0]?.endsWith('/') ?? false, items: names.flatMap(take).map(item) }))
  const others = { text: 'More', collapsed: false, items: [...left].map(item) }
  return [...filled, others].filter(({ items }) => items.length > 0)
}
