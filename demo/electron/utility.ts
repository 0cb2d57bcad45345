// The utility process: it has the SQLite file and its locks, lets the other processes use them, and takes turns with them.
import { openKeeper } from './keeper.ts'
import { takeTurns } from './take-turns.ts'

const [file = '', hold = '300'] = process.argv.slice(-2)
const keeper = openKeeper(file)
process.parentPort.on('message', ({ ports }) => {
  for (const port of ports) keeper.connect(port)
})
takeTurns(keeper.locks, keeper.write('utility'), () => {}, new AbortController().signal, Number(hold))
