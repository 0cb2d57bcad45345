import { type SpawnSyncOptions, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { buildPackage } from '../../build.ts'

/** The folder of the repository. */
export const root = fileURLToPath(new URL('../..', import.meta.url))

/** A user's project, with the package installed from its tarball as npm would install it. */
export interface Project {
  /** The paths of the package's files. */
  readonly packed: readonly string[]
  path(name: string): string
  write(name: string, text: string): void
  read(name: string): string
  /** Runs a file of the project with plain Node. @returns its output */
  run(name: string): string
  /** TypeScript's errors in files of the project, and in the libraries' declarations. */
  check(names: readonly string[], options: ts.CompilerOptions): string[]
  remove(): void
}

/** Builds and packs the present package, and installs it in a new project. Leaves `dist` alone, which other programs may be using. */
export async function installPackage({ without = [] }: { without?: readonly string[] } = {}): Promise<Project> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'storelock-package-')))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  try {
    return { ...(await install(folder, without)), remove }
  } catch (error) {
    remove()
    throw error
  }
}

async function install(folder: string, without: readonly string[]): Promise<Omit<Project, 'remove'>> {
  const project = join(folder, 'project')
  const modules = join(project, 'node_modules')
  const { tarball, files } = await packPackage(folder)
  command('tar', ['-xzf', tarball], { cwd: folder })
  cpSync(join(folder, 'package'), join(modules, 'storelock'), { recursive: true })
  const { dependencies, peerDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, Record<string, string>>
  const examples = ['dexie', '@types/better-sqlite3', '@types/node', '@types/pg', '@types/react']
  const installed = Object.keys({ ...dependencies, ...peerDependencies }).filter((name) => !without.includes(name))
  for (const name of [...installed, ...examples]) {
    mkdirSync(dirname(join(modules, name)), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), join(modules, name), 'junction')
  }
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'somebody-elses', private: true, type: 'module' }))
  return {
    packed: files,
    path: (name) => join(project, name),
    write: (name, text) => writeFileSync(join(project, name), text),
    read: (name) => readFileSync(join(project, name), 'utf8'),
    run: (name) => node([name], project),
    check: (names, options) => typecheck(project, names, options),
  }
}

/** Builds and packs the present package into a folder. @returns the path of the tarball that npm would publish, and the paths in it */
export async function packPackage(folder: string): Promise<{ readonly tarball: string; readonly files: readonly string[] }> {
  const stage = join(folder, 'stage')
  const besides = ['package.json', 'README.md', 'CHANGELOG.md', 'LICENSE', 'llms.txt', 'src', 'docs']
  for (const name of besides) cpSync(join(root, name), join(stage, name), { recursive: true })
  await buildPackage(join(stage, 'dist'))
  const pack = command('npm', ['pack', '--json', '--ignore-scripts'], { cwd: stage, shell: process.platform === 'win32' })
  const [{ filename, files }] = JSON.parse(pack) as [{ filename: string; files: { path: string }[] }]
  return { tarball: join(stage, filename), files: files.map(({ path }) => path) }
}

const node = (args: readonly string[], cwd: string): string => command(process.execPath, args, { cwd })

/** Runs a command to its end. @returns its output @throws Error with its output, if it fails */
export function command(name: string, args: readonly string[], options: SpawnSyncOptions): string {
  const { status, stdout, stderr, error } = spawnSync(name, args, { ...options, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${name} ${args.join(' ')} failed:\n${stdout}${stderr}`, { cause: error })
  return stdout
}

function typecheck(project: string, names: readonly string[], options: ts.CompilerOptions): string[] {
  const program = ts.createProgram({
    rootNames: names.map((name) => join(project, name)),
    options: {
      ...{ target: ts.ScriptTarget.ES2022, lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'] },
      ...{ strict: true, exactOptionalPropertyTypes: true, noEmit: true, types: [], typeRoots: [join(project, 'node_modules/@types')] },
      ...options,
    },
  })
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const text = ts.flattenDiagnosticMessageText(messageText, '\n')
    return file && start !== undefined ? `${file.fileName}:${file.getLineAndCharacterOfPosition(start).line + 1}: ${text}` : text
  })
}
