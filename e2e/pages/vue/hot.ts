/// <reference types="vite/client" />

import { version } from 'vue'
import { exposePanel } from '../frameworks/expose.ts'
import { Panel } from './panel.ts'
import { start } from './start.ts'

const replace = exposePanel(version, Panel, start)

import.meta.hot?.accept('./panel.ts', (next) => replace(next?.Panel))
