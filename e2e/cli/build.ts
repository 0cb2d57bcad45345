import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import ts from 'typescript'
import { readSources } from '../../test/house/imports.ts'
import { root } from '../../test/house/installed.ts'

export interface Built {
  /** The path of the program. */
  readonly main: string
  remove(): void
}

/** The command line as JavaScript, in a second: what is started a hundred times is started in plain Node. */
export function buildProgram(): Built {
  mkdirSync(join(root, 'out'), { recursive: true })
  // In the repository, where packages are found.
  const folder = mkdtempSync(join(root, 'out', 'cli-'))
  // Other users run it too.
  chmodSync(folder, 0o755)
  const { compilerOptions } = JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8'))
  const options = ts.convertCompilerOptionsFromJson(compilerOptions, root).options
  cpSync(join(root, 'package.json'), join(folder, 'package.json'))
  for (const [path, text] of readSources(join(root, 'src'))) {
    const file = join(folder, 'dist', path.replace(/\.ts$/, '.js'))
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(
      file,
      ts.transpileModule(text, { compilerOptions: { ...options, noEmit: false, module: ts.ModuleKind.ESNext }, fileName: path }).outputText,
    )
  }
  return { main: join(folder, 'dist', 'cli', 'main.js'), remove: () => rmSync(folder, { recursive: true, force: true }) }
}
