import { exposePanel } from '../frameworks/expose.ts'
import Panel from './Panel.svelte'
import { start } from './start.ts'

exposePanel(Panel, start)
