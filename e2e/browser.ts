import { execFile, spawn } from 'node:child_process'
import { accessSync, constants, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { type Browser, chromium, type LaunchOptions } from 'playwright-core'
import type { EngineName } from './engines/engine.ts'

/** Without these flags Chromium keeps contacting Google's hosts, and a closed network refuses many such requests at once. */
const quiet = ['--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']

interface Kind {
  readonly title: string
  /** The environment variable that overrides the path. */
  readonly variable: string
  /** Other places to look in, before the folders of `PATH`, where the program has one of the `names`. */
  readonly paths: () => string[]
  readonly names: readonly string[]
  /** An option with which the real program prints something and ends. */
  readonly probe: string
  /** Other programs that it needs on the `PATH`. */
  readonly needs: readonly string[]
  /** The Debian packages. */
  readonly packages: string
  /** Another command that installs it. */
  readonly installer?: CommandLine
  readonly otherwise: readonly string[]
}

/** Chromium's headless shell has the same engine without the windows around it, so a page costs less than half as much. */
type BrowserName = EngineName | 'shell'

const kinds: Record<BrowserName, Kind> = {
  chromium: {
    title: 'Chromium',
    variable: 'CHROMIUM_PATH',
    paths: () => [chromium.executablePath(), ...apps('Chromium', 'Google Chrome', 'Microsoft Edge')],
    names: ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'microsoft-edge'],
    probe: '--version',
    needs: [],
    packages: 'chromium chromium-headless-shell',
    installer: [
      process.execPath,
      join(dirname(createRequire(import.meta.url).resolve('playwright-core/package.json')), 'cli.js'),
      'install',
      'chromium',
    ],
    otherwise: ['npx playwright-core install --with-deps chromium'],
  },
  shell: {
    title: 'headless shell of Chromium',
    variable: 'CHROMIUM_SHELL_PATH',
    // Playwright's own is beside its Chromium.
    paths: () => [
      chromium
        .executablePath()
        .replace(/chromium-(\d+)(.)chrome-([^\\/]+).*/, 'chromium_headless_shell-$1$2chrome-headless-shell-$3$2chrome-headless-shell'),
    ],
    names: ['chromium-headless-shell'],
    probe: '--version',
    needs: [],
    packages: 'chromium-headless-shell',
    otherwise: [],
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

const found = new Map<BrowserName, Promise<string>>()

/**
 * Finds a working browser, or its driver (WebKit): the one that the environment variable names, Playwright's own (Chromium) or the system's.
 * If there is none, it tries to install one.
 * @param log is called with a line about what is being installed
 * @returns the path
 * @throws Error that says what to run by hand
 */
export function findBrowser(name: BrowserName, log: (line: string) => void = () => {}): Promise<string> {
  const known = found.get(name)
  if (known) return known
  const finding = find(kinds[name], log)
  found.set(name, finding)
  finding.catch(() => found.delete(name))
  return finding
}

/**
 * {@link findBrowser}, but installs nothing.
 * @throws Error that says what to run by hand
 */
export async function presentBrowser(name: BrowserName): Promise<string> {
  const there = await present(kinds[name])
  if (there) return there
  throw new Error(`There is no ${kinds[name].title} here. ${adviceOf(kinds[name])}`)
}

/** {@link findBrowser} for Chromium. */
export const findChromium = (log?: (line: string) => void): Promise<string> => findBrowser('chromium', log)

/** The path of the lightest Chromium here: the headless shell, or the whole browser if there is none, or if `CHROMIUM_PATH` names one. */
const lightChromium = async (): Promise<string> =>
  (process.env.CHROMIUM_PATH ? undefined : await present(kinds.shell)) ?? (await findBrowser('chromium'))

/** The path of a program on the `PATH`. */
export function findProgram(name: string): string {
  const path = onPath([name]).find(isExecutable)
  if (path) return path
  throw new Error(`There is no ${name} in the folders of PATH.`)
}

/** The options with which Playwright starts the Chromium of {@link findChromium}, also for `launchPersistentContext`. */
export async function launchOptions(options: LaunchOptions = {}): Promise<LaunchOptions> {
  const args = [...quiet, ...(isRoot() ? ['--no-sandbox'] : []), ...(options.args ?? [])]
  return { ...options, executablePath: options.executablePath ?? (await findChromium()), chromiumSandbox: !isRoot(), args }
}

/** Starts a headless Chromium with a temporary profile. */
export async function launchChromium(options?: LaunchOptions): Promise<Browser> {
  return chromium.launch(await launchOptions(options))
}

/** {@link launchChromium}, but the headless shell: it has no back/forward cache, no preferences, and no tabs that are hidden. */
export async function launchShell(options?: LaunchOptions): Promise<Browser> {
  return launchChromium({ ...options, executablePath: await lightChromium() })
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

/** Whether the program really starts: Ubuntu's `chromium-browser` may be a script that only points to a snap. */
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
