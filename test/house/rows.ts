// Lists the tests of each row of `rows.md`: `npm run rows`. Fails if a row has no test.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = join(import.meta.dirname, '../..')

/** A behaviour that the project must have. */
export interface Row {
  readonly id: string
  readonly behaviour: string
}

/** A test, or a group of tests, whose name begins with rows. */
export interface Named {
  readonly file: string
  readonly name: string
  readonly rows: readonly string[]
}

/** Matches the rows at the start of a name such as `M1, M7: is held while a guard lives`. */
const prefix = /^([A-Z]\d+(?:, [A-Z]\d+)*): /

export const readRows = (text = readFileSync(join(import.meta.dirname, 'rows.md'), 'utf8')): Row[] =>
  [...text.matchAll(/^\| ([A-Z]\d+) \|[^|]*\| (.*) \|$/gm)].map(([, id = '', behaviour = '']) => ({ id, behaviour }))

/** All tests in the repository that name rows. */
export function readTests(): Named[] {
  const tests = ['test', 'e2e'].flatMap((folder) => filesIn(folder, /(\.test|facts)\.ts$/))
  // The facts of the published suite, which runs on every store.
  const facts = filesIn('src/testing/facts', /\.ts$/)
  return [...tests, ...facts].flatMap((file) => namesIn(file, readFileSync(join(root, file), 'utf8')))
}

const filesIn = (folder: string, shape: RegExp): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((file) => `${folder}/${file.replaceAll('\\', '/')}`)
    .filter((file) => shape.test(file))
    .sort()

/** The names in a test file that begin with rows: names of tests, of groups, and of a suite's facts. Leaves out tests that are always skipped. */
export function namesIn(file: string, text: string): Named[] {
  const found: Named[] = []
  const add = (node: ts.Node | undefined): void => {
    if (!node || !(ts.isStringLiteralLike(node) || ts.isTemplateExpression(node))) return
    const name = ts.isTemplateExpression(node) ? node.getText().slice(1, -1) : node.text
    const rows = prefix.exec(name)?.[1]?.split(', ')
    if (rows) found.push({ file, name, rows })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node)) {
      const callee = node.expression.getText()
      if (/^(it|test|describe)\b/.test(callee) && !/\.(skip|todo)\b/.test(callee)) add(node.arguments[0])
    } else if (ts.isPropertyAssignment(node) && ts.isStringLiteral(node.name)) add(node.name)
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true))
  return found
}

/** Prints the rows with their tests. @returns whether each row has one */
function list(rows: readonly Row[], tests: readonly Named[]): boolean {
  let complete = true
  for (const { id, behaviour } of rows) {
    const named = tests.filter((test) => test.rows.includes(id))
    if (!named.length) complete = false
    console.log(`${id}: ${behaviour}`)
    for (const { file, name } of named) console.log(`    ${file}: ${name}`)
    if (!named.length) console.log('    NO TEST NAMES IT')
  }
  return complete
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (!list(readRows(), readTests())) process.exitCode = 1
  else if (process.argv.includes('--run')) {
    const args = [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--project=unit', '--project=programs', '-t', '(^| )[A-Z]\\d+(, [A-Z]\\d+)*: ']
    process.exitCode = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' }).status ?? 1
  }
}
