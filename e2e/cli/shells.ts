import { spawnSync } from 'node:child_process'

/** A shell, and how its language differs from others. */
export interface Shell {
  readonly name: string
  /** The command line, up to the script. */
  readonly command: readonly string[]
  /** The exit code of the last command. */
  readonly status: string
  /** An expression for the shell's own process id. */
  readonly self: string
  /** Opens a descriptor on the output of a command, reads its first line into `line`, and closes it. Undefined if the shell cannot do so. */
  readonly descriptor?: (command: string) => { readonly open: string; readonly close: string }
}

const substituted: Shell['descriptor'] = (command) => ({ open: `exec {fd}< <(${command}); read -r -u $fd line`, close: 'exec {fd}<&-' })
const named: Shell['descriptor'] = (command) => ({
  open: `mkfifo pipe; ${command} >pipe & exec 9<pipe; rm pipe; read -r line <&9`,
  close: 'exec 9<&-',
})

const all: readonly Shell[] = [
  { name: 'bash', command: ['bash', '-c'], status: '$?', self: '$$', descriptor: substituted },
  { name: 'zsh', command: ['zsh', '-fc'], status: '$?', self: '$$', descriptor: substituted },
  { name: 'dash', command: ['dash', '-c'], status: '$?', self: '$$', descriptor: named },
  { name: 'busybox', command: ['busybox', 'sh', '-c'], status: '$?', self: '$$', descriptor: named },
  { name: 'fish', command: ['fish', '-c'], status: '$status', self: '$fish_pid' },
]

const isHere = ({ command: [program = '', ...rest] }: Shell): boolean => spawnSync(program, [...rest, 'true']).status === 0

/** The shells that are installed here. Logs which are missing. */
export function findShells(log: (line: string) => void = console.log): readonly Shell[] {
  const missing = all.filter((shell) => !isHere(shell)).map(({ name }) => name)
  if (missing.length) log(`nothing is tested with ${missing.join(', ')}: apt-get install ${missing.join(' ')}`)
  return all.filter(({ name }) => !missing.includes(name))
}

/** Installs the missing shells if that is allowed. @returns the names of those that are present */
export function installShells(log: (line: string) => void): string {
  const missing = all.filter((shell) => !isHere(shell)).map(({ name }) => name)
  if (missing.length && process.getuid?.() === 0) {
    const command = `apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ${missing.join(' ')}`
    log(`installing ${missing.join(', ')}`)
    spawnSync('sh', ['-c', command], { stdio: ['ignore', 2, 2] })
  }
  return findShells(log)
    .map(({ name }) => name)
    .join(', ')
}
