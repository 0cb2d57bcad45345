// What `in-plain-node.ts` starts: measures one figure and sends it home. A figure of several processes starts it again in other roles.
import { endWhenTold } from './cleanup.ts'
import { onNode, roles } from './on-node.ts'
import { be } from './processes.ts'

const [name = '', place = ''] = process.argv.slice(2)
const role = roles[name]
endWhenTold()

if (role) await be(role, place)
else {
  const measure = onNode[name]
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
