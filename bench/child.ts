// What `inPlainNode` starts: measures one figure and sends it home. A figure of several processes starts it again in other roles.
import { measures as between, roles } from './between.ts'
import { measures as mutex } from './mutex.ts'
import { measures as sqlite } from './sqlite.ts'

const [name = '', place = ''] = process.argv.slice(2)
// By hand, as under a profiler, there is nobody to send to.
const send = (message: object): void => void (process.send ? process.send(message) : 'figures' in message && console.log(message))

if (name === 'taker' || name === 'holder') await roles[name](JSON.parse(place))
else {
  const measure = { ...mutex, ...sqlite, ...between }[name]
  if (!measure) throw new Error(`no such measure: ${name}`)
  send({ figures: await measure((done) => send({ done })) })
}
