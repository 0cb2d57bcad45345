import { join } from 'node:path'
import { buildDemo } from '../build.ts'
import { type Site, serveFolder } from '../src/cli/demo/site.ts'

/** Builds the page into `directory` and serves it like `storelock demo`. Port 0 means any free port. */
export function openSite(directory: string, port = 0): Promise<Site> {
  const folder = join(directory, 'page')
  buildDemo(folder)
  return serveFolder(folder, port)
}
