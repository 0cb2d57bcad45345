import { afterEach, expect, it, vi } from 'vitest'
import { findNode } from '../node-sqlite/node.ts'

afterEach(() => void vi.unstubAllEnvs())

it('a Node that the environment names for node:sqlite, and that does not have it, is refused with what to do', async () => {
  vi.stubEnv('STORELOCK_NODE_SQLITE', '/nowhere/node')
  await expect(findNode()).rejects.toThrow(
    'STORELOCK_NODE_SQLITE is /nowhere/node, and that is no Node with node:sqlite. Set it to Node 22.18 or newer, or unset it.',
  )
})
