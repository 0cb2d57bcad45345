import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { expect, test } from 'vitest'
import { root } from '../house/installed.ts'
import { compile, exportsOf, faults } from './consumer.ts'

const entries = Object.keys(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).exports)
  .filter((path) => path !== './package.json')
  .map((path) => path.replace(/^\./, 'storelock'))

const imports = entries.map((entry, index) => `import type * as m${index} from '${entry}'`).join('\n')

/** For each optional member of each public type, except methods, a line that assigns `undefined` to it. */
function assignments(): string[] {
  const { program } = compile({ 'consumer.ts': imports })
  const checker = program.getTypeChecker()
  return entries.flatMap((entry, index) => {
    return exportsOf(program, entry).flatMap((exported) => {
      const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported
      if (!(symbol.flags & (ts.SymbolFlags.Interface | ts.SymbolFlags.TypeAlias))) return []
      const declaration = symbol.declarations?.[0] as ts.InterfaceDeclaration | ts.TypeAliasDeclaration
      const parameters = (declaration.typeParameters ?? []).map(() => 'any')
      const type = `m${index}.${exported.name}${parameters.length ? `<${parameters.join(', ')}>` : ''}`
      return checker
        .getDeclaredTypeOfSymbol(symbol)
        .getApparentProperties()
        .filter(({ flags, declarations }) => flags & ts.SymbolFlags.Optional && !declarations?.some(ts.isMethodSignature))
        .map(({ name }) => `export const x: Pick<${type}, '${name}'> = { ${name}: undefined }`)
    })
  })
}

test('every optional member of a public type accepts undefined, also with exactOptionalPropertyTypes', () => {
  const lines = assignments().map((line, index) => line.replace(' x:', ` x${index}:`))
  expect(lines.length).toBeGreaterThan(150)
  expect(lines.join('\n')).toMatch(/\.LocksOptions, 'onWarning'/)
  const wrong = 'export const y: { a?: number } = { a: undefined }'
  expect(faults({ 'consumer.ts': [imports, ...lines, wrong].join('\n') })).toEqual([expect.stringContaining(wrong)])
}, 120_000)
