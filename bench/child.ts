// What `inPlainNode` starts: measures one figure and sends it home.
import { measures as reentrant } from './reentrant.ts'
import { measures as sqlite } from './sqlite.ts'

const measure = { ...reentrant, ...sqlite }[process.argv[2] ?? '']
if (!measure) throw new Error(`no such measure: ${process.argv[2]}`)

// By hand, as under a profiler, there is nobody to send to.
const send = (message: object): void => void (process.send ? process.send(message) : 'figures' in message && console.log(message))

send({ figures: await measure((done) => send({ done })) })
