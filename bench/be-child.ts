import { endWhenTold } from './cleanup.ts'
import type { Measure } from './figure.ts'
import { be, type Role } from './processes.ts'

/** The program that `in-plain-node.ts` starts: it measures one figure and reports it. For more processes it starts itself again in other roles. */
export async function beChild(measures: Record<string, Measure>, roles: Record<string, Role<never>>): Promise<void> {
  const [name = '', place = ''] = process.argv.slice(2)
  const role = roles[name]
  endWhenTold()
  if (role) return await be(role, place)
  const measure = measures[name]
  // The listener for `disconnect` must not keep this process alive when it is done.
  process.channel?.unref()
  if (!measure) throw new Error(`no such measure: ${name}`)
  // A process that was started by hand, as under a profiler, has no parent to send to.
  const send = (message: object): void => void (process.send ? process.send(message) : 'figures' in message && console.log(message))
  const figures = await measure(
    (done) => send({ done }),
    (curve) => send({ curve }),
  )
  send({ figures })
}
