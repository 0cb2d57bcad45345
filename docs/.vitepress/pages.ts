import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The root of the repository. */
export const root: string = join(import.meta.dirname, '../..')
/** The folder of the pages. */
export const docs: string = join(root, 'docs')
/** The folder into which the site is built. */
export const site: string = join(root, 'out/docs')

/** The pages in `docs/`, as paths in it with forward slashes: `stores/sqlite.md`. */
export function pages(): string[] {
  return readdirSync(docs, { recursive: true, encoding: 'utf8' })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => path.endsWith('.md') && !path.startsWith('.vitepress/'))
    .sort()
}

/** A page's first heading, without backticks. */
export function titleOf(page: string): string {
  const [, title = page] = /^# (.*)$/m.exec(readFileSync(join(docs, page), 'utf8')) ?? []
  return title.replaceAll('`', '')
}
