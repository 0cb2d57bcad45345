import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { Exit, exitCodes } from '../exit.ts'
import { type Entry, setByShells } from './entry.ts'

/** A shell that waits for the word `go`, and then replaces itself by the command. Lines before that word set variables for the command. */
export interface Gate {
  /** The words before those of the command. */
  readonly words: readonly string[]
  readonly env: NodeJS.ProcessEnv
  /** The descriptor on which it waits for the word. */
  readonly descriptor: number
}

/** Variables that shells set for themselves, and names that some shells drop since they cannot use them. */
const notPassedOn = /^(?:IFS|OPTIND|PPID|LINENO)$|[^\w]|^\d/

/** The gate for a command: it restores what Node has changed, and passes on what Node would not. */
export function gateFor(env: NodeJS.ProcessEnv, { ignored, open = [0, 1, 2], limits }: Entry): Gate {
  const descriptor = [3, 4, 5, 6, 7, 8, 9].find((free) => !open.includes(free)) ?? Math.max(...open) + 1
  // Not all shells can name a descriptor of two digits.
  const shell = descriptor < 10 ? '/bin/sh' : '/bin/bash'
  if (descriptor > 9 && !existsSync(shell)) throw new Exit(exitCodes.failed, 'all descriptors from 3 to 9 are open: close one of them')
  const passed: NodeJS.ProcessEnv = { ...env }
  const steps = [
    ignored.length && `trap '' ${ignored.map((signal) => constants.signals[signal]).join(' ')}`,
    // The caller may have exported any other name.
    'STORELOCK_GO=',
    `while read -r STORELOCK_GO <&${descriptor} || exit 125; [ "$STORELOCK_GO" != go ]; do export "$STORELOCK_GO"; done`,
    'unset STORELOCK_GO',
    `exec ${descriptor}<&-`,
    ...Object.entries(limits).map(([letter, limit]) => `ulimit -S -${letter} ${limit}`),
    ...[0, 1, 2].filter((standard) => !open.includes(standard)).map((standard) => `exec ${standard}<&-`),
    ...setByShells.filter((name) => env[name] === undefined).map((name) => `unset ${name}`),
  ]
  // systemd names the process that its sockets are for.
  if (env.LISTEN_PID === `${process.pid}`) {
    // systemd's newer variable names the same process, so it would be wrong for the command.
    delete passed.LISTEN_PIDFDID
    steps.push('LISTEN_PID=$$')
  }
  const odd = Object.keys(env).filter((name) => notPassedOn.test(name))
  if (odd.length) {
    const aliases = odd.map((_, index) => `STORELOCK_VARIABLE_${index}`)
    for (const [index, name] of odd.entries()) {
      passed[`STORELOCK_VARIABLE_${index}`] = `${name}=${env[name]}`
      delete passed[name]
    }
    const program = existsSync('/usr/bin/env') ? '/usr/bin/env' : '/bin/env'
    steps.push(`set -- ${program} -- ${aliases.map((alias) => `"$${alias}"`).join(' ')} "$@"`, `unset ${aliases.join(' ')}`)
  }
  return { words: [shell, '-c', [...steps, 'exec "$@"'].filter(Boolean).join('; '), 'storelock'], env: passed, descriptor }
}
