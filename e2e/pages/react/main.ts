import { exposeReact } from './mount.ts'
import { Panel } from './panel.ts'

exposeReact(Panel)
