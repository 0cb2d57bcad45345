import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { docs } from '../../docs/.vitepress/pages.ts'
import { otherBlocks, sampled, withSamples } from './samples.ts'

describe('the pages with samples', () => {
  it.each(sampled)('%s shows its samples exactly as they are tested', async (page) => {
    const path = join(docs, page)
    // To put changed samples into the pages: npx vitest run --project unit test/docs/samples -u
    await expect(withSamples(readFileSync(path, 'utf8'))).toMatchFileSnapshot(path)
  })

  it.each(sampled)('%s shows no untested code', (page) => {
    expect(otherBlocks(readFileSync(join(docs, page), 'utf8')).filter((language) => language !== 'sh' && language !== 'text')).toEqual([])
  })
})
