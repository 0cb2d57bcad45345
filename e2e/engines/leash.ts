/**
 * A shell takes the first place in a process group, and the command takes the shell's. What stays beside it reads the standard input
 * that came from us. Its end, however we ended, ends the group: also when we were killed and had no say.
 */
const script = 'exec 9<&0; { read -r _ <&9; kill -KILL 0; } & exec "$@" 9<&- </dev/null'

/**
 * A command line that runs the command, and ends it and all that it started once its standard input ends.
 * Start it `detached`, with a pipe as standard input.
 */
export function leashed(command: string, ...args: string[]): [command: string, ...args: string[]] {
  return process.platform === 'win32' ? [command, ...args] : ['/bin/sh', '-c', script, 'leash', command, ...args]
}
