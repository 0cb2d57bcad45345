import { codeOfSignal } from './exit.ts'

/** Signals after which a system may write a core file. Here it would be a core file of Node, which would only mislead. */
const withCore: readonly string[] = ['SIGQUIT', 'SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGSEGV', 'SIGXCPU', 'SIGXFSZ', 'SIGSYS']

/**
 * Ends this process by a signal, so that the parent process sees the signal: on Ctrl-C, a shell ends its script only if the command died of it.
 * Where a process cannot die of a signal, as in the first process of a container, it ends with the exit code for the signal.
 * @param quiet whether it is known that no core file is written
 */
export function dieOf(signal: NodeJS.Signals, quiet = false): void {
  process.exitCode = codeOfSignal(signal)
  if (process.platform === 'win32' || (withCore.includes(signal) && !quiet)) return
  if (signal !== 'SIGKILL') {
    // Node ignores some signals itself. Adding and removing a listener restores the system's default.
    const none = (): void => {}
    process.on(signal, none).off(signal, none)
  }
  process.kill(process.pid, signal)
}
