import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')

/** The Markdown in a page, such as `README.md`, between `<!-- name -->` and `<!-- /name -->`. */
export function fromPage(page: string, name: string): string {
  const { text, start, end } = find(page, name)
  return text.slice(start, end).trim()
}

/** Replaces the Markdown in a page between `<!-- name -->` and `<!-- /name -->`. */
export function updatePage(page: string, name: string, markdown: string): void {
  const { text, start, end } = find(page, name)
  writeFileSync(join(root, page), `${text.slice(0, start)}\n${markdown}\n${text.slice(end)}`)
}

function find(page: string, name: string): { text: string; start: number; end: number } {
  const text = readFileSync(join(root, page), 'utf8')
  const start = text.indexOf(`<!-- ${name} -->`)
  const end = text.indexOf(`<!-- /${name} -->`)
  if (start < 0 || end < start) throw new Error(`${page} has no <!-- ${name} --> … <!-- /${name} --> to put a table into`)
  return { text, start: start + `<!-- ${name} -->`.length, end }
}
