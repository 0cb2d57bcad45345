import { exposePanel } from '../frameworks/expose.ts'
import Panel from './Panel.svelte'
import { start } from './start.ts'

exposePanel([...__svelte.v].join(), Panel, start)
