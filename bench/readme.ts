import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const path = join(import.meta.dirname, '..', 'README.md')

/** What stands in the README between `<!-- name -->` and `<!-- /name -->`. */
export function fromReadme(name: string): string {
  const { text, start, end } = find(name)
  return text.slice(start, end).trim()
}

/** Puts Markdown between `<!-- name -->` and `<!-- /name -->`, instead of what stands there. */
export function updateReadme(name: string, markdown: string): void {
  const { text, start, end } = find(name)
  writeFileSync(path, `${text.slice(0, start)}\n${markdown}\n${text.slice(end)}`)
}

function find(name: string): { text: string; start: number; end: number } {
  const text = readFileSync(path, 'utf8')
  const start = text.indexOf(`<!-- ${name} -->`)
  const end = text.indexOf(`<!-- /${name} -->`)
  if (start < 0 || end < start) throw new Error(`${path} has no <!-- ${name} --> … <!-- /${name} --> to put a table into`)
  return { text, start: start + `<!-- ${name} -->`.length, end }
}
