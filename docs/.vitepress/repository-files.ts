import { copyFileSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import type { MarkdownRenderer } from 'vitepress'
import { docs, root } from './pages.ts'

/** Files and folders of the repository that pages link to, as paths in it. */
const linked = new Set<string>()

/**
 * Pages link to files of the repository, such as a test or a configuration, in the way that works on GitHub. The site has copies of these files, as
 * text that browsers show. So the links also work offline, and show the file as it was when the site was built.
 */
export function filesOfRepository(md: MarkdownRenderer): void {
  md.core.ruler.push('files of the repository', ({ tokens, env }) => {
    for (const { children } of tokens) {
      for (const token of children ?? []) {
        const href = token.type === 'link_open' ? String(token.attrGet('href')) : ''
        const file = fileOf(href, env.relativePath)
        if (file === undefined) continue
        linked.add(file)
        token.attrSet('href', `/files/${file}.txt`)
        // Otherwise the site's router would treat the link as a page.
        token.attrSet('target', '_self')
      }
    }
  })
}

/** The file or folder of the repository that a link points to, unless it is one of the pages. */
function fileOf(href: string, page: string): string | undefined {
  const [path = ''] = href.split('#')
  if (!path || /^(\w+:|\/)/.test(path)) return undefined
  const file = join(docs, dirname(page), decodeURI(path))
  const inDocs = !relative(docs, file).startsWith('..')
  return (inDocs && /\.(md|html)$/.test(path)) || !existsSync(file) ? undefined : relative(root, file).replaceAll('\\', '/')
}

/** Copies linked files into the site, and writes a list of contents for each linked folder. */
export function copyLinkedFiles(site: string): void {
  for (const path of linked) {
    const [from, to] = [join(root, path), join(site, 'files', `${path}.txt`)]
    mkdirSync(dirname(to), { recursive: true })
    if (statSync(from).isDirectory()) writeFileSync(to, readdirSync(from, { recursive: true, encoding: 'utf8' }).sort().join('\n'))
    else copyFileSync(from, to)
  }
}
