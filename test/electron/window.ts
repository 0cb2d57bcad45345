// Runs the code of a demo window in a thread of Node. It reports to the parent, and hangs when the parent tells it to.
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { writerOver } from '../../demo/electron/ledger.ts'
import { takeTurns } from '../../demo/electron/take-turns.ts'
import { wrap } from '../../src/worker/index.ts'

const { port, who, hold } = workerData as { readonly port: MessagePort; readonly who: string; readonly hold: number }
if (!parentPort) throw new Error('this is to run as a thread')
const parent = parentPort
parent.on('message', (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms))
takeTurns(wrap(port, { label: who }), writerOver(port, who), (news) => parent.postMessage(news), new AbortController().signal, hold)
