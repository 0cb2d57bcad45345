import { fromReadme, updateReadme } from '../../bench/readme.ts'
import { savedFindings } from './findings.ts'
import { tableOf } from './table.ts'

// What `npm run engines` runs.
updateReadme('engines', tableOf(savedFindings()))
console.log(fromReadme('engines'))
