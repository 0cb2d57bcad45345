/**
 * A shell leads the process group, and then becomes the command. A child that stays beside it reads the standard input that we gave it.
 * When we end, even if we are killed, that input ends, and the child kills the group.
 */
const script = 'exec 9<&0; { read -r _ <&9; kill -KILL 0; } & exec "$@" 9<&- </dev/null'

/**
 * A command line that runs the command, and kills it and all processes that it started once its standard input ends.
 * Start it `detached`, with a pipe as standard input.
 */
export function leashed(command: string, ...args: string[]): [command: string, ...args: string[]] {
  return process.platform === 'win32' ? [command, ...args] : ['/bin/sh', '-c', script, 'leash', command, ...args]
}
