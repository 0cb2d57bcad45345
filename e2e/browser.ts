import { execFile, spawn } from 'node:child_process'
import { accessSync, constants, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { type Browser, chromium, type LaunchOptions } from 'playwright-core'

const systemNames = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'microsoft-edge']
const macNames = ['Chromium', 'Google Chrome', 'Microsoft Edge'].map((name) => `/Applications/${name}.app/Contents/MacOS/${name}`)

/** Without these Chromium keeps asking for Google's hosts, which a closed network refuses many at a time. */
const quiet = ['--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']

let found: Promise<string> | undefined

/**
 * The path of a Chromium that runs: `CHROMIUM_PATH`, Playwright's own or the system's; else it tries to install one.
 * @param log hears what is being installed
 * @throws Error that says what a person has to run
 */
export function findChromium(log: (line: string) => void = () => {}): Promise<string> {
  found ??= find(log).catch((error: unknown) => {
    found = undefined
    throw error
  })
  return found
}

/** What Playwright needs to start the Chromium of {@link findChromium}, also for `launchPersistentContext`. */
export async function launchOptions(options: LaunchOptions = {}): Promise<LaunchOptions> {
  const args = [...quiet, ...(isRoot() ? ['--no-sandbox'] : []), ...(options.args ?? [])]
  return { ...options, executablePath: options.executablePath ?? (await findChromium()), chromiumSandbox: !isRoot(), args }
}

/** Starts a headless Chromium with a profile of its own, which is gone when it is closed. */
export async function launchChromium(options?: LaunchOptions): Promise<Browser> {
  return chromium.launch(await launchOptions(options))
}

async function find(log: (line: string) => void): Promise<string> {
  const chosen = process.env.CHROMIUM_PATH
  if (chosen) {
    if (await runs(chosen)) return chosen
    throw new Error(`CHROMIUM_PATH is ${chosen}, and that does not run. Set it to a Chromium or Chrome, or unset it.`)
  }
  const present = await firstThatRuns([playwrightPath(), ...onPath(), ...macNames])
  if (present) return present
  for (const [command, ...args] of installers()) {
    log(`no Chromium found: ${[command, ...args].join(' ')}`)
    if (!(await succeeds(command, args))) continue
    const installed = await firstThatRuns([playwrightPath(), ...onPath()])
    if (installed) return installed
  }
  throw new Error(
    'There is no Chromium here, and it could not be installed. Run one of these, then try again:\n' +
      '  npx playwright-core install --with-deps chromium\n' +
      '  sudo apt-get update && sudo apt-get install -y --no-install-recommends chromium\n' +
      'or set CHROMIUM_PATH to a Chromium or Chrome that you have.',
  )
}

type CommandLine = readonly [command: string, ...args: string[]]

function installers(): CommandLine[] {
  const cli = join(dirname(createRequire(import.meta.url).resolve('playwright-core/package.json')), 'cli.js')
  const lines: CommandLine[] = [[process.execPath, cli, 'install', 'chromium']]
  if (isRoot() && /^ID(_LIKE)?=.*(debian|ubuntu)/m.test(textOf('/etc/os-release'))) {
    lines.push(['sh', '-c', 'apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium'])
  }
  return lines
}

const isRoot = (): boolean => process.getuid?.() === 0

const playwrightPath = (): string => chromium.executablePath()

const onPath = (): string[] => {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean)
  return systemNames.flatMap((name) => folders.map((folder) => join(folder, name)))
}

async function firstThatRuns(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) if (await runs(path)) return path
  return undefined
}

/** Whether it is a browser that starts: Ubuntu's `chromium-browser` may be a script that only names a snap. */
async function runs(path: string): Promise<boolean> {
  try {
    accessSync(path, constants.X_OK)
    await promisify(execFile)(path, ['--version'], { timeout: 20_000 })
    return true
  } catch {
    return false
  }
}

/** Installers print to stderr, so that whoever starts us may print data to stdout. */
const succeeds = (command: string, args: readonly string[]): Promise<boolean> =>
  new Promise((resolve) => {
    const env = { ...process.env, PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT: '10000' }
    const child = spawn(command, args, { stdio: ['ignore', 2, 2], timeout: 300_000, env })
    child.once('error', () => resolve(false))
    child.once('exit', (code) => resolve(code === 0))
  })

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
