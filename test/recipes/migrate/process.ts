// A process that migrates a database when its parent says so, or kills itself in the middle: `process.js TOOL FOLDER [die]`.
import { migrate, type Tool } from './tools.ts'

const [tool, folder = '', how] = process.argv.slice(2)

process.once('message', async () => {
  const meddle = (): void => void (how === 'die' && process.kill(process.pid, 'SIGKILL'))
  const result = await migrate(tool as Tool, folder, meddle).then(() => 'migrated', String)
  process.send?.(result, () => process.disconnect())
})
process.send?.('ready')
