import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { serveFolder } from './demo/site.ts'
import { Exit, exitCodes } from './exit.ts'
import { unlessAborted, untilSignal } from './interrupt.ts'
import { print, printJson } from './output.ts'

export interface DemoOptions {
  readonly port: number
  readonly json?: true
}

/** Serves the demo's page, which is part of the package, to a browser on this machine, until a signal ends it. */
export async function demo({ port, json }: DemoOptions): Promise<void> {
  const folder = pageFolder()
  if (!folder) throw new Exit(exitCodes.failed, 'the demo’s page is not here: it is in the folder of the installed package')
  await untilSignal(async (signal) => {
    const site = await unlessAborted(signal, serveFolder(folder, port))
    try {
      if (json) printJson({ url: site.url })
      else print(`open ${site.url} in a browser on this machine; Ctrl-C ends`)
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve))
      signal.throwIfAborted()
    } finally {
      site.close()
    }
  })
}

/** The folder is next to that of the bundle's chunks. A program in one file has no such folder. */
function pageFolder(): string | undefined {
  const here: string | undefined = import.meta.url
  const folder = here && fileURLToPath(new URL('../demo', here))
  return folder && existsSync(folder) ? folder : undefined
}
