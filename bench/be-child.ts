import { endWhenTold } from './cleanup.ts'
import type { Measure } from './figure.ts'
import { be, type Role } from './processes.ts'

/** What `in-plain-node.ts` starts: measures one figure and sends it home. A figure of several processes starts the same program again in other roles. */
export async function beChild(measures: Record<string, Measure>, roles: Record<string, Role<never>>): Promise<void> {
  const [name = '', place = ''] = process.argv.slice(2)
  const role = roles[name]
  endWhenTold()
  if (role) return await be(role, place)
  const measure = measures[name]
  // It ends when it is done, though it would hear that its starter is gone.
  process.channel?.unref()
  if (!measure) throw new Error(`no such measure: ${name}`)
  // By hand, as under a profiler, there is nobody to send to.
  const send = (message: object): void => void (process.send ? process.send(message) : 'figures' in message && console.log(message))
  const figures = await measure(
    (done) => send({ done }),
    (curve) => send({ curve }),
  )
  send({ figures })
}
