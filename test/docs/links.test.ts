import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { deadLinks, deadLinksOfSite } from '../../docs/.vitepress/links.ts'
import { pages, root } from '../../docs/.vitepress/pages.ts'

describe('the links of the pages', () => {
  it.each([...pages().map((page) => `docs/${page}`), 'README.md', 'CONTRIBUTING.md', 'CHANGELOG.md'].filter((page) => !page.startsWith('docs/api/')))(
    'in %s lead to files and headings that exist',
    (page) => {
      expect(deadLinks(root, [page])).toEqual([])
    },
  )
})

describe('the search for dead links', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'storelock-links-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))
  const write = (name: string, text: string): void => {
    mkdirSync(join(folder, name, '..'), { recursive: true })
    writeFileSync(join(folder, name), text)
  }

  it('finds links to missing files and headings in Markdown, except in code', () => {
    write('other.md', '# Other\n\n## `a/b` and *c*\n\n## Twice\n\n## Twice\n')
    write(
      'page.md',
      '# Page\n[a](other.md#ab-and-c) [b](other.md#twice-1) [c](#page) [d](https://example.com/x)\n`[e](e.md)`\n```sh\n[f](f.md)\n```\n',
    )
    expect(deadLinks(folder, ['page.md'])).toEqual([])
    write('page.md', '[a](none.md) [b](other.md#none) ![c](none.svg) [d](#none)\n')
    expect(deadLinks(folder, ['page.md'])).toEqual([
      'page.md: none.md: there is no such file',
      'page.md: other.md#none: there is no such heading',
      'page.md: none.svg: there is no such file',
      'page.md: #none: there is no such heading',
    ])
  })

  it('finds links to pages, headings and pictures that the site does not have', () => {
    write('a.html', '<h1 id="top">A</h1><a href="/base/b.html#x">b</a><a href="https://example.com/#y">out</a><img src="/base/i.svg">')
    write('b.html', '<h1 id="x">B</h1><a href="./a#top">a</a>')
    write('i.svg', '')
    expect(deadLinksOfSite(folder, '/base/')).toEqual([])
    write('b.html', '<h1 id="x">B</h1><a href="./a#none">a</a><a href="/base/c">c</a><a href="/a.html">a</a>')
    expect(deadLinksOfSite(folder, '/base/')).toEqual([
      'b.html: ./a#none: there is no such heading',
      'b.html: /base/c: there is no such file',
      'b.html: /a.html: it leaves the site',
    ])
  })
})
