import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openSite } from './site.ts'
import { takePictures } from './tour/pictures.ts'
import { type Defer, tour } from './tour/tour.ts'

const help = `npm run demo [-- options]

A tour of a minute at most: tabs and workers of a real browser count under one lock in IndexedDB, and then processes in a SQLite file.
They are asked, robbed, killed, stopped and set to a wrong time. It says what happens and which promise that shows, and leaves a report
with pictures in out/demo/. Exit code 1 if a fenced write was lost, or nothing was lost without a lock.

  --serve      only serve the page, for tabs that you open yourself, until Ctrl-C
  --port N     serve it on this port instead of a free one
  --headed     show the browser's windows
  --pictures   take the pictures of docs/demo/ again
  --help       show this`

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        ...{ serve: { type: 'boolean' }, port: { type: 'string' }, headed: { type: 'boolean' } },
        ...{ pictures: { type: 'boolean' }, help: { type: 'boolean' } },
      },
    })
    const port = Number(values.port ?? 0)
    if (!(Number.isInteger(port) && port >= 0 && port < 65_536)) throw new RangeError(`--port is a number below 65536, not ${values.port}`)
    return { ...values, port }
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${help}`)
    return process.exit(2)
  }
}

async function serve(port: number, defer: Defer): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'storelock-demo-'))
  defer(() => rm(directory, { recursive: true, force: true }))
  const site = await openSite(directory, port)
  defer(() => site.close())
  console.log(`Open this in a browser on this machine: ${site.url}\nCtrl-C ends.`)
}

async function run(defer: Defer, interrupted: Promise<unknown>): Promise<number> {
  if (options.serve) {
    await serve(options.port, defer)
    await interrupted
    return 0
  }
  if (options.pictures) {
    await takePictures(defer)
    return 0
  }
  return (await tour(options.headed ?? false, defer)) ? 0 : 1
}

const options = readOptions()
if (options.help) {
  console.log(help)
  process.exit()
}
const undo: (() => unknown)[] = []
// npm and tsx may repeat the same Ctrl-C, so only a later one means that the user will not wait for the cleanup.
const interrupted = new Promise<void>((resolve) => {
  let first = Number.POSITIVE_INFINITY
  const interrupt = () => {
    if (performance.now() - first > 1_000) process.exit(130)
    first = Math.min(first, performance.now())
    resolve()
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt)
})
// If the terminal is closed, output fails, but the cleanup still has to run.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
let code = 1
try {
  const running = run((step) => undo.push(step), interrupted)
  // A run that waits for Ctrl-C has returned its own code by then. A run that is cut short gets 130.
  code = await Promise.race([running, interrupted.then(() => new Promise<number>((resolve) => setImmediate(resolve, 130)))])
} catch (error) {
  console.error(error)
}
// Every step runs, even if another has failed: a browser that is already dying must not keep the children alive.
for (const step of undo.reverse()) {
  try {
    await step()
  } catch {
    // Goes on with the next step.
  }
}
process.exit(code)
