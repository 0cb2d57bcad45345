import { CommanderError } from 'commander'
import { dieOf } from './die.ts'
import { codeOf, Exit, exitCodes, Killed } from './exit.ts'
import { say } from './output.ts'
import { makeProgram } from './program.ts'
import { quietNode } from './quiet.ts'
import { remedyFor } from './store.ts'

quietNode()

function explain(error: unknown): void {
  // Commander has already printed its own errors.
  if (error instanceof CommanderError || (error instanceof Exit && !error.message)) return
  const remedy = remedyFor(error)
  const { message } = error as Error
  say(remedy ? `${message}: ${remedy}` : message)
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // The reader may stop reading, as `head` does. Like any program, this one then ends without a message.
  if (error.code === 'EPIPE') dieOf('SIGPIPE')
  else {
    process.exitCode = exitCodes.failed
    say(`cannot write the output: ${error.message}`)
  }
  process.exit()
})
// Release the lock even if the terminal is gone.
process.stderr.on('error', () => {})

// Without top-level `await`, so that a bundle can be CommonJS: a single executable of Node takes nothing else.
makeProgram(process.argv[2])
  .parseAsync()
  .catch((error) => {
    explain(error)
    process.exitCode = error instanceof CommanderError && error.exitCode === 0 ? 0 : codeOf(error)
    if (error instanceof Killed) dieOf(error.signal, error.quiet)
  })
