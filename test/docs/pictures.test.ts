import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { docs } from '../../docs/.vitepress/pages.ts'
import { drawAll } from '../../docs/.vitepress/pictures/pictures.ts'

const folder = join(docs, 'concepts')

describe('the pictures in docs/concepts', () => {
  // To draw the pictures again: npx tsx docs/.vitepress/pictures/draw.ts
  it.each(drawAll())('include %s as the script draws it', (name, picture) => {
    expect(readFileSync(join(folder, name), 'utf8')).toBe(picture)
  })

  it('are all drawn by the script, and all have an alternative text on the page', () => {
    expect(readdirSync(folder).sort()).toEqual(
      drawAll()
        .map(([name]) => name)
        .sort(),
    )
    const text = ['concepts.md', 'decide.md'].map((page) => readFileSync(join(docs, page), 'utf8')).join('')
    for (const [name] of drawAll()) expect(text).toMatch(new RegExp(`!\\[[^\\]]{20,}\\]\\(concepts/${name}\\)`))
  })
})
