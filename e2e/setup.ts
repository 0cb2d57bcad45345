import { findNode } from '../test/node-sqlite/node.ts'
import { installPrograms, programs } from '../test/servers/programs.ts'
import { findBrowser } from './browser.ts'
import { installShells } from './cli/shells.ts'
import { type EngineName, enginesHere } from './engines/engine.ts'

// Finds or installs the browsers and programs that tests need: `tsx e2e/setup.ts chromium`, or `more` for those that `npm test` leaves out.
const log = (line: string): void => console.error(line)
const all = process.argv[2] === 'more'
const names: readonly EngineName[] = all ? enginesHere().filter((name) => name !== 'chromium') : ['chromium']
try {
  for (const name of names) console.log(`${name}: ${await findBrowser(name, log)}`)
  // Without it, the tests use the whole browser, and take longer.
  if (!all) console.log(`headless shell: ${await findBrowser('shell', log).catch((error: Error) => error.message)}`)
  // The unit tests need these.
  if (!all) installPrograms(Object.values(programs), log)
  if (!all) console.log(`shells: ${installShells(log)}`)
  if (all) console.log(`node:sqlite: ${await findNode(log)}`)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
