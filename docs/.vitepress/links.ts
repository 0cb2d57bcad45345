import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import GithubSlugger from 'github-slugger'

/**
 * Finds dead links in Markdown files: to a file that does not exist, or to a heading that its page does not have.
 * @param files paths in `root`
 * @returns a line for each
 */
export function deadLinks(root: string, files: readonly string[]): string[] {
  const known = new Map<string, Set<string>>()
  const anchorsOf = (path: string): Set<string> => {
    const anchors = known.get(path) ?? anchorsIn(readFileSync(path, 'utf8'))
    known.set(path, anchors)
    return anchors
  }
  const whyDead = (from: string, link: string): string | undefined => {
    const [path = '', anchor] = link.split('#')
    const target = path ? join(dirname(from), decodeURI(path)) : from
    if (!existsSync(target)) return 'there is no such file'
    if (anchor && target.endsWith('.md') && !anchorsOf(target).has(decodeURIComponent(anchor))) return 'there is no such heading'
    return undefined
  }
  return files.flatMap((file) => {
    const from = join(root, file)
    return linksIn(readFileSync(from, 'utf8')).flatMap((link) => {
      const why = whyDead(from, link)
      return why ? [`${file}: ${link}: ${why}`] : []
    })
  })
}

const withoutCode = (page: string): string => page.replace(/^( *)(```+)[\s\S]*?^\1\2`*$/gm, '').replace(/<!--[\s\S]*?-->/g, '')

/** The targets of a page's links and pictures that are in the repository. */
const linksIn = (page: string): string[] =>
  [
    ...withoutCode(page)
      .replace(/`[^`\n]*`/g, '')
      .matchAll(/\]\(<?([^)\s>]+)/g),
  ]
    .map(([, link = '']) => link)
    .filter((link) => !/^(\w+:|\/\/)/.test(link))

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsIn(page: string): Set<string> {
  const slugger = new GithubSlugger()
  const headings = [...withoutCode(page).matchAll(/^#{1,6} +(.*?) *$/gm)].map(([, text = '']) =>
    slugger.slug(text.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')),
  )
  const named = [...page.matchAll(/<a (?:id|name)="([^"]+)"/g)].map(([, id = '']) => id)
  return new Set([...headings, ...named])
}

/**
 * Finds dead links in a built site, including those of its navigation and of its API reference.
 * @returns a line for each
 */
export function deadLinksOfSite(site: string, base: string): string[] {
  const paths = readdirSync(site, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.html') && path !== '404.html')
  const texts = new Map(paths.map((path) => [join(site, path), readFileSync(join(site, path), 'utf8')]))
  const attributes = (text: string, names: string): string[] =>
    [...text.matchAll(new RegExp(` (?:${names})="([^"]*)"`, 'g'))].map(([, value = '']) => value.replaceAll('&amp;', '&'))
  const ids = new Map([...texts].map(([path, text]) => [path, new Set(attributes(text, 'id'))]))
  const whyDead = (from: string, link: string): string | undefined => {
    const at = new URL(link, `http://site${base}${relative(site, from).replaceAll('\\', '/')}`)
    if (at.host !== 'site') return undefined
    if (!at.pathname.startsWith(base)) return 'it leaves the site'
    const path = join(site, decodeURIComponent(at.pathname.slice(base.length)))
    const file = [path, `${path}.html`, join(path, 'index.html')].find((file) => existsSync(file) && statSync(file).isFile())
    if (!file) return 'there is no such file'
    const anchor = decodeURIComponent(at.hash.slice(1))
    return anchor && !ids.get(file)?.has(anchor) ? 'there is no such heading' : undefined
  }
  return [...texts].flatMap(([path, text]) =>
    [...new Set(attributes(text, 'href|src'))].flatMap((link) => {
      const why = whyDead(path, link)
      return why ? [`${relative(site, path)}: ${link}: ${why}`] : []
    }),
  )
}
