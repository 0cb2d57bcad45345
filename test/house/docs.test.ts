import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { mutants as brokenClients } from '../../model/client/mutants.ts'
import { mutants as brokenRules, limitMutants } from '../../model/protocol/mutants.ts'
import { root } from './installed.ts'

const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const pages = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
  .map((name) => name.replaceAll('\\', '/'))
  .filter((name) => name.endsWith('.md'))
const recipes = pages.filter((name) => name.startsWith('recipes/'))

describe('the pages in docs/', () => {
  it.each([
    ['test/examples/file-server.ts', 'docs/fencing.md'],
    ['test/examples/file-client.ts', 'docs/fencing.md'],
    ['test/examples/locked-files.ts', 'docs/lock-server.md'],
    ['test/examples/locked-edit.ts', 'docs/lock-server.md'],
    ['test/examples/locked-edit.sh', 'docs/lock-server.md'],
    ['test/examples/four-requests.sh', 'docs/lock-server.md'],
    ['test/examples/four_requests.py', 'docs/lock-server.md'],
    ['test/examples/four_requests.go', 'docs/lock-server.md'],
    ['test/examples/lock-spans.ts', 'docs/observing.md'],
  ])('show %s exactly as it is tested, in %s', (path, page) => {
    expect(read(page)).toContain(`\`\`\`${path.split('.').pop()}\n${read(path)}\`\`\``)
  })

  it.each(recipes)('show in %s the contents of the files that its blocks name, and no other code longer than three lines', (page) => {
    const blocks = [...read(join('docs', page)).matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].map(([, info = '', code = '']) => ({ info, code }))
    const named = blocks.map(({ info, code }) => ({ path: /title="(.*)"/.exec(info)?.[1], code }))
    expect(named.filter(({ path, code }) => (path ? read(path) !== code : code.split('\n').length > 4))).toEqual([])
  })

  it('show no untested code in fencing.md', () => {
    expect([...read('docs/fencing.md').matchAll(/^```ts$/gm)]).toHaveLength(2)
  })

  it('say how many broken rules and broken clients the model is tested with', () => {
    const [rules, clients] = [{ ...brokenRules, ...limitMutants }, brokenClients].map((mutants) => Object.keys(mutants).length)
    expect(read('docs/model.md')).toContain(`breaks the rules in ${rules} ways and the clients in ${clients}`)
  })

  it.each(pages)('have no dead links to files in %s', (page) => {
    const links = [...read(join('docs', page)).matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, link = '']) => link)
    expect(links.filter((link) => !existsSync(join(root, dirname(join('docs', page)), link)))).toEqual([])
  })
})
