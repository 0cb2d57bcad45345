import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Defer, show } from './show.ts'
import { openSite } from './site.ts'

const help = `npm run demo [-- options]

Four tabs of a real browser take one lock in turn on an IndexedDB database, and four Node processes on a SQLite file.
One of each dies while it holds the lock, and one stands still. At the end every write is counted, and a timeline is
saved in out/. With a display you see the windows and can play with them until Ctrl-C.

  --serve      only serve the page, for tabs that you open yourself, until Ctrl-C
  --port N     serve it on this port instead of a free one
  --headless   no windows, even where there is a display
  --help       show this`

function readOptions() {
  try {
    const { values } = parseArgs({
      options: { serve: { type: 'boolean' }, port: { type: 'string' }, headless: { type: 'boolean' }, help: { type: 'boolean' } },
    })
    const port = Number(values.port ?? 0)
    if (!(Number.isInteger(port) && port >= 0 && port < 65_536)) throw new RangeError(`--port is a number below 65536, not ${values.port}`)
    return { ...values, port }
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${help}`)
    return process.exit(2)
  }
}

/** Whether windows can be seen: and not in continuous integration, where nobody would press Ctrl-C. */
const hasDisplay = (): boolean =>
  !process.env.CI && (['darwin', 'win32'].includes(process.platform) || Boolean(process.env.DISPLAY || process.env.WAYLAND_DISPLAY))

async function serve(port: number, defer: Defer): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'storelock-demo-'))
  defer(() => rm(directory, { recursive: true, force: true }))
  const site = await openSite(directory, port)
  defer(() => site.close())
  console.log(`Open this in several tabs of one browser: ${site.url}\nCtrl-C ends.`)
}

async function run(defer: Defer, interrupted: Promise<unknown>): Promise<number> {
  if (options.serve) {
    await serve(options.port, defer)
    await interrupted
    return 0
  }
  const windows = hasDisplay() && !options.headless
  const well = await show(windows, defer)
  if (windows) {
    console.log('\nThe windows stay open for you to play with. Ctrl-C ends.')
    await interrupted
  }
  return well ? 0 : 1
}

const options = readOptions()
if (options.help) {
  console.log(help)
  process.exit()
}
const undo: (() => Promise<unknown>)[] = []
// npm and tsx may hand on the same Ctrl-C once more, so only a later one means that cleaning up takes too long.
const interrupted = new Promise<void>((resolve) => {
  let first = Number.POSITIVE_INFINITY
  const interrupt = () => {
    if (performance.now() - first > 1_000) process.exit(130)
    first = Math.min(first, performance.now())
    resolve()
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt)
})
// A terminal that is closed can show nothing more, which is no reason not to clean up.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
let code = 1
try {
  const running = run((step) => undo.push(step), interrupted)
  // A run that waits for Ctrl-C has its own answer by then; one that is cut short has none.
  code = await Promise.race([running, interrupted.then(() => new Promise<number>((resolve) => setImmediate(resolve, 130)))])
} catch (error) {
  console.error(error)
}
// Each step whatever became of the others: a browser that is dying already must not keep the children alive.
for (const step of undo.reverse()) await step().catch(() => {})
process.exit(code)
