import { findNode } from '../test/node-sqlite/node.ts'
import { findBrowser } from './browser.ts'
import { chooseEngines } from './engines/chosen.ts'

try {
  const { chosen, leftOut, reason } = chooseEngines()
  for (const name of chosen) console.log(`${name}: ${await findBrowser(name, (line) => console.error(line))}`)
  console.log(`node:sqlite: ${await findNode((line) => console.error(line))}`)
  for (const name of leftOut) console.warn(`${name} is left out: ${reason}`)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
