import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { expect, test } from 'vitest'
import { root } from '../house/installed.ts'

const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => readFileSync(path, 'utf8'))
const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: ['build.ts'] }, ts.sys, root)

const entries = Object.keys(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).exports)
  .filter((path) => path !== './package.json')
  .map((path) => path.replace(/^\./, 'storelock'))

/** Compiles one file that a user could have written, with `exactOptionalPropertyTypes`. */
function compile(text: string): { readonly program: ts.Program; readonly file: ts.SourceFile } {
  const path = join(root, 'consumer.ts')
  const host = ts.createCompilerHost(options)
  const { getSourceFile, fileExists } = host
  host.getSourceFile = (name, ...rest) =>
    name === path ? ts.createSourceFile(name, text, ts.ScriptTarget.ES2022, true) : getSourceFile(name, ...rest)
  host.fileExists = (name) => name === path || fileExists(name)
  const program = ts.createProgram([path], { ...options, exactOptionalPropertyTypes: true }, host)
  return { program, file: program.getSourceFile(path) as ts.SourceFile }
}

/** What TypeScript has to say against it. */
function faults(text: string): string[] {
  const { program, file } = compile(text)
  return program.getSemanticDiagnostics(file).map(({ messageText, start = 0 }) => {
    const line = file.text.slice(0, start).split('\n').length - 1
    return `${file.text.split('\n')[line]}: ${ts.flattenDiagnosticMessageText(messageText, '\n').split('\n')[0]}`
  })
}

const imports = entries.map((entry, index) => `import type * as m${index} from '${entry}'`).join('\n')

/** A line for each optional member of each public type, methods aside, that gives it `undefined`. */
function assignments(): string[] {
  const { program } = compile(imports)
  const checker = program.getTypeChecker()
  return entries.flatMap((entry, index) => {
    const { resolvedModule } = ts.resolveModuleName(entry, join(root, 'consumer.ts'), options, ts.sys)
    const module = checker.getSymbolAtLocation(program.getSourceFile(resolvedModule?.resolvedFileName ?? '') as ts.SourceFile)
    if (!module) throw new Error(`there is no module ${entry}`)
    return checker.getExportsOfModule(module).flatMap((exported) => {
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

test('every optional member of a public type takes undefined, also for those who compile with exactOptionalPropertyTypes', () => {
  const lines = assignments().map((line, index) => line.replace(' x:', ` x${index}:`))
  expect(lines.length).toBeGreaterThan(150)
  expect(lines.join('\n')).toMatch(/\.LocksOptions, 'onWarning'/)
  const wrong = 'export const y: { a?: number } = { a: undefined }'
  expect(faults([imports, ...lines, wrong].join('\n'))).toEqual([expect.stringContaining(wrong)])
}, 120_000)
