import { afterEach, expect, it, vi } from 'vitest'
import { findNode } from '../node-sqlite/node.ts'

afterEach(() => void vi.unstubAllEnvs())

it('a Node without node:sqlite that the environment names is refused with a remedy', async () => {
  vi.stubEnv('STORELOCK_NODE_SQLITE', '/nowhere/node')
  await expect(findNode()).rejects.toThrow(
    'STORELOCK_NODE_SQLITE is /nowhere/node, and that is no Node with node:sqlite. Set it to Node 22.18 or newer, or unset it.',
  )
})
