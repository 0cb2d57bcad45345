import { findChromium } from './browser.ts'

try {
  console.log(await findChromium((line) => console.error(line)))
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
