import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { root } from './installed.ts'
import { lineOf, makeLlms } from './llms.ts'

const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const manifest = JSON.parse(read('package.json'))
const jsr = JSON.parse(read('jsr.json'))

describe('jsr.json', () => {
  it('has the version and the entries of package.json, as source files that exist', () => {
    expect(jsr.version).toBe(manifest.version)
    // The lock server and the inspector need files that only the build makes.
    const built = ['./server', './inspector', './package.json']
    const entries = Object.entries<{ default: string }>(manifest.exports).filter(([name]) => !built.includes(name))
    expect(jsr.exports).toEqual(
      Object.fromEntries(entries.map(([name, { default: path }]) => [name, path.replace(/^\.\/dist/, './src').replace(/js$/, 'ts')])),
    )
    expect(Object.values<string>(jsr.exports).filter((path) => !existsSync(join(root, path)))).toEqual([])
  })

  it('names the packages that its entries import, in the versions of package.json', () => {
    const versions: Record<string, string> = { ...manifest.devDependencies, ...manifest.dependencies }
    // A page must use its own React, so any minor version will do.
    const wanted = (name: string): string => (name in manifest.peerDependencies ? `^${versions[name]?.split('.')[0]}.0.0` : `${versions[name]}`)
    for (const [name, specifier] of Object.entries(jsr.imports)) expect(specifier).toBe(`npm:${name}@${wanted(name)}`)
  })
})

describe('llms.txt', () => {
  it('is up to date with the pages and the entries: `npm run llms` writes it', () => {
    expect(read('llms.txt')).toBe(makeLlms())
  })

  it('says what each entry is for: add it in test/house/llms.ts', () => {
    const lines = read('llms.txt').split('\n')
    for (const name of Object.keys(manifest.exports).filter((name) => name !== './package.json')) {
      const shown = `- \`${name.replace(/^\./, 'storelock')}\``
      expect(lines.find((line) => line.startsWith(shown))).toMatch(/`: ./)
    }
  })

  it('has the first sentence of a page, without links, or only the title if the page does not begin with a sentence', () => {
    expect(lineOf('a.md', '# A page\n\n`x` is [a thing](b.md). It is more.\n')).toBe('- [A page](a.md): `x` is a thing.')
    expect(lineOf('a.md', '---\nlayout: doc\n---\n# A page\n\n## A section\n\nText.')).toBe('- [A page](a.md)')
    expect(lineOf('a.md', 'no title')).toBeUndefined()
  })
})

describe('the files for GitHub', () => {
  it('ask for the output of storelock doctor in a bug report', () => {
    expect(read('.github/ISSUE_TEMPLATE/bug.yml')).toContain('storelock doctor')
  })

  it('run what .ci/run runs, and publish with provenance and without a token', () => {
    expect(read('.github/workflows/ci.yml')).toMatch(/node: \['20', '22', '24'\][\s\S]*run: \.ci\/run/)
    expect(read('.github/workflows/release.yml')).toMatch(/id-token: write[\s\S]*npm publish --provenance/)
    expect(read('.github/workflows/release.yml')).not.toMatch(/secrets\./)
  })

  it('link to pages that exist', () => {
    const texts = ['SECURITY.md', '.github/ISSUE_TEMPLATE/bug.yml', '.github/ISSUE_TEMPLATE/config.yml'].map(read).join('\n')
    const links = [...texts.matchAll(/\]\((?:https:\/\/github\.com\/storelock\/storelock\/blob\/main\/)?([^)#:]+)\)/g)].map(([, path = '']) => path)
    expect(links.length).toBeGreaterThan(5)
    expect(links.filter((path) => !existsSync(join(root, path)))).toEqual([])
  })

  it('belong to the repository that package.json names', () => {
    expect([manifest.repository.url, manifest.bugs.url]).toEqual([
      'git+https://github.com/storelock/storelock.git',
      'https://github.com/storelock/storelock/issues',
    ])
  })
})
