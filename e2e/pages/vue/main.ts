import { version } from 'vue'
import { exposePanel } from '../frameworks/expose.ts'
import { Panel } from './panel.ts'
import { start } from './start.ts'

exposePanel(version, Panel, start)
