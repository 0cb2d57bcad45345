import { servePages } from '../pages/serve.ts'
import { startChromium } from './chromium.ts'
import type { Engine, EngineName } from './engine.ts'
import { startFirefox } from './firefox.ts'
import { startWebkit } from './webkit.ts'

const starts: Record<EngineName, () => Promise<Engine>> = { chromium: startChromium, firefox: startFirefox, webkit: startWebkit }

/** An engine and the test pages, which are served as long as it runs. */
export interface Served extends Engine {
  /** The page that has `storelock` as a global. */
  readonly page: string
}

/** Starts an engine and serves the test pages to it. */
export async function startEngine(name: EngineName): Promise<Served> {
  const site = await servePages()
  const engine = await starts[name]().catch(async (error: unknown) => {
    await site.close()
    throw error
  })
  return {
    ...engine,
    page: site.url,
    async close() {
      try {
        await engine.close()
      } finally {
        await site.close()
      }
    },
  }
}
