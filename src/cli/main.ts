#!/usr/bin/env node
import { CommanderError } from 'commander'
import { codeOf, Exit } from './exit.ts'
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

// The reader of the output may stop reading, as `head` does.
process.stdout.on('error', () => process.exit())
// Release the lock even if the terminal is gone.
process.stderr.on('error', () => {})

// Without `await`, so that a bundle can be CommonJS: a Node with a program in it takes nothing else.
makeProgram()
  .parseAsync()
  .catch((error) => {
    explain(error)
    process.exitCode = error instanceof CommanderError && error.exitCode === 0 ? 0 : codeOf(error)
  })
