import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { root } from '../house/installed.ts'

const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => readFileSync(path, 'utf8'))
const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: ['build.ts'] }, ts.sys, root)

/** A user's files by name, compiled with `exactOptionalPropertyTypes`. The first file is the one that is checked. */
export type Files = Readonly<Record<string, string>>

const pathOf = (name: string): string => join(root, name)

export function compile(files: Files): { readonly program: ts.Program; readonly file: ts.SourceFile } {
  const texts = new Map(Object.entries(files).map(([name, text]) => [pathOf(name), text]))
  const settings = { ...options, exactOptionalPropertyTypes: true, jsx: ts.JsxEmit.ReactJSX }
  const host = ts.createCompilerHost(settings)
  const { getSourceFile, fileExists } = host
  host.getSourceFile = (path, ...rest) => {
    const text = texts.get(path)
    return text === undefined ? getSourceFile(path, ...rest) : ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true)
  }
  host.fileExists = (path) => texts.has(path) || fileExists(path)
  const [first = ''] = texts.keys()
  const program = ts.createProgram([...texts.keys()], settings, host)
  return { program, file: program.getSourceFile(first) as ts.SourceFile }
}

/** TypeScript's errors in the first file, each with its source line. */
export function faults(files: Files): string[] {
  const { program, file } = compile(files)
  return program.getSemanticDiagnostics(file).map(({ messageText, start = 0 }) => {
    const line = file.text.slice(0, start).split('\n').length - 1
    return `${file.text.split('\n')[line]}: ${ts.flattenDiagnosticMessageText(messageText, '\n').split('\n')[0]}`
  })
}

/** The exports of a module, by the name under which users import it. */
export function exportsOf(program: ts.Program, entry: string): ts.Symbol[] {
  const checker = program.getTypeChecker()
  const { resolvedModule } = ts.resolveModuleName(entry, pathOf('consumer.ts'), options, ts.sys)
  const module = checker.getSymbolAtLocation(program.getSourceFile(resolvedModule?.resolvedFileName ?? '') as ts.SourceFile)
  if (!module) throw new Error(`there is no module ${entry}`)
  return checker.getExportsOfModule(module)
}
