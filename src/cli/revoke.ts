import type { Common } from './args.ts'
import { Exit, exitCodes } from './exit.ts'
import { withLook } from './look.ts'
import { assertSomeoneHolds } from './near.ts'
import { lineOf, print, printJson } from './output.ts'
import { nameOf, stateOf } from './state.ts'
import { keyOf, withLock } from './store.ts'

export interface RevokeOptions extends Common {
  /** Take it only from this session. */
  readonly holder?: string
  /** Do not ask for confirmation. */
  readonly yes?: true
}

/** Takes a lock from its holders, or from one of them, whether they are alive or not. */
export async function revoke(key: string, { store: place, holder, yes, json }: RevokeOptions): Promise<void> {
  await assertSomeoneHolds(place, key)
  const view = await withLook(place, (look) => look.read(keyOf(key)))
  const holders = view ? stateOf(view).holders.filter(({ session }) => !holder || session === holder) : []
  if (!yes && holders.length && process.stdin.isTTY && !(await confirm(`take ${key} from ${holders.map(nameOf).join(' and ')}?`))) {
    throw new Exit(exitCodes.no, 'nothing was done')
  }
  await withLock(place, key, (locks, name) => locks.revoke(name, holder))
  if (json) printJson({ key, revoked: holders.map(({ session, token }) => ({ session, token })) })
  else print(`${key} was taken from ${holders.map(nameOf).join(' and ')}`)
}

async function confirm(question: string): Promise<boolean> {
  const { createInterface } = await import('node:readline')
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  return await new Promise((resolve) => {
    // Ctrl-C and the end of the input mean no as well.
    terminal.once('close', () => resolve(false))
    terminal.question(`${lineOf(question)} [y/N] `, (answer) => {
      resolve(/^y(es)?$/i.test(answer.trim()))
      terminal.close()
    })
  })
}
