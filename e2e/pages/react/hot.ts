/// <reference types="vite/client" />
import { exposeReact } from './mount.ts'
import { Panel } from './panel.ts'

const replace = exposeReact(Panel)

import.meta.hot?.accept('./panel.ts', (next) => replace(next?.Panel))
