import { pathToFileURL } from 'node:url'
import { endWhenTold } from '../cleanup.ts'
import { inFolder } from '../folder.ts'
import { compareTrees } from './run.ts'

// Loads the bundles that the arguments name, and sends the results to its parent.
endWhenTold()
process.channel?.unref()
const [rounds, ...files] = process.argv.slice(2)
for (const file of files) await import(pathToFileURL(file).href)
process.send?.(await inFolder((folder) => compareTrees(`${folder}/locks`, Number(rounds))))
