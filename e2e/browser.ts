import { execFile, spawn } from 'node:child_process'
import { accessSync, constants, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { type Browser, chromium, type LaunchOptions } from 'playwright-core'
import type { EngineName } from './engines/engine.ts'

/** Without these Chromium keeps asking for Google's hosts, which a closed network refuses many at a time. */
const quiet = ['--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']

interface Kind {
  readonly title: string
  /** The environment's variable that names another one. */
  readonly variable: string
  /** Where it may stand beside the folders of `PATH`, in which it has one of these names. */
  readonly paths: () => string[]
  readonly names: readonly string[]
  /** Prints something and ends, if it is what it seems to be. */
  readonly probe: string
  /** What has to be on the `PATH` beside it. */
  readonly needs: readonly string[]
  /** Debian's packages. */
  readonly packages: string
  /** What else a person or we can run to have it. */
  readonly installer?: CommandLine
  readonly otherwise: readonly string[]
}

const kinds: Record<EngineName, Kind> = {
  chromium: {
    title: 'Chromium',
    variable: 'CHROMIUM_PATH',
    paths: () => [chromium.executablePath(), ...apps('Chromium', 'Google Chrome', 'Microsoft Edge')],
    names: ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'microsoft-edge'],
    probe: '--version',
    needs: [],
    packages: 'chromium',
    installer: [
      process.execPath,
      join(dirname(createRequire(import.meta.url).resolve('playwright-core/package.json')), 'cli.js'),
      'install',
      'chromium',
    ],
    otherwise: ['npx playwright-core install --with-deps chromium'],
  },
  firefox: {
    title: 'Firefox',
    variable: 'FIREFOX_PATH',
    paths: () => apps('Firefox', 'Firefox Developer Edition').map((path) => join(dirname(path), 'firefox')),
    names: ['firefox-esr', 'firefox'],
    probe: '--version',
    needs: [],
    packages: 'firefox-esr',
    otherwise: ['npx @puppeteer/browsers install firefox@stable   # and set FIREFOX_PATH to the path that it prints'],
  },
  webkit: {
    title: 'WebKitWebDriver, with Xvfb,',
    variable: 'WEBKIT_DRIVER_PATH',
    paths: () => ['/usr/libexec/webkit2gtk-4.1/WebKitWebDriver'],
    names: ['WebKitWebDriver'],
    probe: '--help',
    needs: ['Xvfb'],
    packages: 'webkit2gtk-driver xvfb',
    otherwise: [],
  },
}

const found = new Map<EngineName, Promise<string>>()

/**
 * The path of a browser that runs, or of what drives it (WebKit): the environment's, Playwright's own (Chromium) or the system's;
 * else it tries to install one.
 * @param log hears what is being installed
 * @throws Error that says what a person has to run
 */
export function findBrowser(name: EngineName, log: (line: string) => void = () => {}): Promise<string> {
  const known = found.get(name)
  if (known) return known
  const finding = find(kinds[name], log)
  found.set(name, finding)
  finding.catch(() => found.delete(name))
  return finding
}

/**
 * {@link findBrowser}, but installs nothing.
 * @throws Error that says what a person has to run
 */
export async function presentBrowser(name: EngineName): Promise<string> {
  const there = await present(kinds[name])
  if (there) return there
  throw new Error(`There is no ${kinds[name].title} here. ${adviceOf(kinds[name])}`)
}

/** {@link findBrowser} for Chromium. */
export const findChromium = (log?: (line: string) => void): Promise<string> => findBrowser('chromium', log)

/** The path of a program in a folder of `PATH`. */
export function findProgram(name: string): string {
  const path = onPath([name]).find(isExecutable)
  if (path) return path
  throw new Error(`There is no ${name} in the folders of PATH.`)
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

async function find(kind: Kind, log: (line: string) => void): Promise<string> {
  const there = await present(kind)
  if (there) return there
  for (const [command, ...args] of installers(kind)) {
    log(`no ${kind.title} found: ${[command, ...args].join(' ')}`)
    if (!(await succeeds(command, args))) continue
    const installed = await present(kind)
    if (installed) return installed
  }
  throw new Error(`There is no ${kind.title} here, and it could not be installed. ${adviceOf(kind)}`)
}

async function present(kind: Kind): Promise<string | undefined> {
  const { variable, needs, probe } = kind
  const chosen = process.env[variable]
  if (chosen && !(await runs(chosen, probe)))
    throw new Error(`${variable} is ${chosen}, and that does not run. Set it to one that does, or unset it.`)
  if (needs.some((name) => !onPath([name]).some(isExecutable))) return undefined
  return chosen || firstThatRuns([...kind.paths(), ...onPath(kind.names)], probe)
}

const adviceOf = ({ variable, packages, otherwise }: Kind): string =>
  [
    'Run one of these, then try again:',
    ...otherwise.map((line) => `  ${line}`),
    `  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${packages}`,
    `or set ${variable} to one that you have.`,
  ].join('\n')

type CommandLine = readonly [command: string, ...args: string[]]

function installers({ installer, packages }: Kind): CommandLine[] {
  const lines = installer ? [installer] : []
  if (isRoot() && /^ID(_LIKE)?=.*(debian|ubuntu)/m.test(textOf('/etc/os-release'))) {
    lines.push(['sh', '-c', `apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ${packages}`])
  }
  return lines
}

const isRoot = (): boolean => process.getuid?.() === 0

const apps = (...names: string[]): string[] => names.map((name) => `/Applications/${name}.app/Contents/MacOS/${name}`)

const onPath = (names: readonly string[]): string[] => {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean)
  return names.flatMap((name) => folders.map((folder) => join(folder, name)))
}

async function firstThatRuns(paths: readonly string[], probe: string): Promise<string | undefined> {
  for (const path of paths) if (await runs(path, probe)) return path
  return undefined
}

/** Whether it is a program that starts: Ubuntu's `chromium-browser` may be a script that only names a snap. */
async function runs(path: string, probe: string): Promise<boolean> {
  if (!isExecutable(path)) return false
  return promisify(execFile)(path, [probe], { timeout: 20_000 }).then(
    () => true,
    () => false,
  )
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Installers print to stderr, so that the calling program can print data to stdout. */
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
