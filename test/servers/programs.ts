import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** A server program that tests start. */
export interface Program {
  readonly title: string
  /** Its commands. */
  readonly commands: readonly string[]
  /** Its package in Debian and in Homebrew. */
  readonly debian: string
  readonly brew: string
  /** The environment variable with the address of a server that is already running. */
  readonly variable: string
  /** Whether its tests are left out if it cannot be installed. Older Debians have it only in their backports. */
  readonly optional?: boolean
}

export const programs = {
  postgres: {
    title: 'Postgres',
    commands: ['initdb', 'postgres'],
    debian: 'postgresql',
    brew: 'postgresql',
    variable: 'STORELOCK_TEST_POSTGRES_URL',
  },
  pgbouncer: { title: 'PgBouncer', commands: ['pgbouncer'], debian: 'pgbouncer', brew: 'pgbouncer', variable: 'STORELOCK_TEST_PGBOUNCER_URL' },
  redis: { title: 'Redis', commands: ['redis-server'], debian: 'redis-server', brew: 'redis', variable: 'STORELOCK_TEST_REDIS_URL' },
  valkey: {
    title: 'Valkey',
    commands: ['valkey-server'],
    debian: 'valkey-server',
    brew: 'valkey',
    variable: 'STORELOCK_TEST_VALKEY_URL',
    optional: true,
  },
  etcd: { title: 'etcd', commands: ['etcd'], debian: 'etcd-server', brew: 'etcd', variable: 'STORELOCK_TEST_ETCD_URL' },
} as const satisfies Record<string, Program>

/** The folders to search for commands. Debian keeps Postgres' commands outside the path. */
function folders(): string[] {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
  const path = (process.env.PATH ?? '').split(delimiter).filter(Boolean)
  return [...path, '/usr/sbin', ...versions.map((version) => join(debian, version, 'bin'))]
}

/** The path of a command, or `undefined` if this machine does not have it. */
export const findCommand = (command: string): string | undefined =>
  folders()
    .map((folder) => join(folder, command))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    })

/** The path of a program's command. @throws Error that says how to install it */
export function pathOf(program: Program, command: string): string {
  const path = findCommand(command)
  if (path) return path
  throw new Error(missing(program))
}

const missing = ({ title, debian, brew, variable }: Program): string =>
  [
    `There is no ${title} on this machine. Run one of these, then try again:`,
    `  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${debian}`,
    `  brew install ${brew}`,
    `or set ${variable} to the address of one that tests may use.`,
  ].join('\n')

const isHere = ({ commands, variable }: Program): boolean => Boolean(process.env[variable]) || commands.every(findCommand)

/** Installs the missing programs, if this is a Debian and the user is root. @throws Error that says how to install the rest */
export function installPrograms(wanted: readonly Program[], log: (line: string) => void): void {
  const absent = wanted.filter((program) => !isHere(program))
  if (absent.length && process.getuid?.() === 0 && /^ID(_LIKE)?=.*(debian|ubuntu)/m.test(osRelease())) {
    const run = (script: string) => spawnSync('sh', ['-c', script], { stdio: ['ignore', 2, 2], timeout: 300_000 })
    const packagesOf = (optional: boolean) => absent.filter((program) => Boolean(program.optional) === optional).map(({ debian }) => debian)
    run('apt-get update')
    for (const packages of [packagesOf(false).join(' '), ...packagesOf(true)]) {
      if (!packages) continue
      log(`installing ${packages}`)
      run(install(packages))
    }
    for (const program of absent) if (program.optional && !isHere(program)) run(installFromBackports(program.debian))
  }
  const left = absent.filter((program) => !isHere(program))
  for (const { title, optional } of left) if (optional) log(`There is no ${title} on this machine: its tests are left out.`)
  const needed = left.filter(({ optional }) => !optional)
  if (needed.length) throw new Error(needed.map(missing).join('\n'))
}

const install = (packages: string, options = ''): string =>
  `DEBIAN_FRONTEND=noninteractive apt-get ${options} install -y --no-install-recommends ${packages}`

/** Debian's backports are used for one package only: the machine's own list of sources is not changed. */
const installFromBackports = (name: string): string => `
  . /etc/os-release
  [ "$ID" = debian ] && [ "$VERSION_CODENAME" ] || exit
  suite=$VERSION_CODENAME-backports
  archive=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $VERSION_CODENAME" 'Created-By: Packages' | head -n 1)
  [ "$archive" ] || exit
  sources=$(mktemp -d)
  trap 'rm -r "$sources"' EXIT
  cp /etc/apt/sources.list.d/* "$sources" 2>/dev/null
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive $suite main" >"$sources/storelock-backports.list"
  apt-get -o Dir::Etc::SourceParts="$sources" update
  ${install(name, '-o Dir::Etc::SourceParts="$sources" -t "$suite"')}`

function osRelease(): string {
  try {
    return readFileSync('/etc/os-release', 'utf8')
  } catch {
    return ''
  }
}
