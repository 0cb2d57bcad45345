import { fromPage, updatePage } from '../../bench/pages.ts'
import { savedFindings } from './findings.ts'
import { enginesPage, tableOf } from './table.ts'

// `npm run engines` runs this.
updatePage(enginesPage, 'engines', tableOf(savedFindings()))
console.log(fromPage(enginesPage, 'engines'))
