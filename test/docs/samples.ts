import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { docs, root } from '../../docs/.vitepress/pages.ts'

/** The pages whose samples are files that tests run. Above each sample is the name of its file: `<!-- test/docs/start/count.mjs -->`. */
export const sampled: readonly string[] = ['index', 'start', 'concepts', 'decide', 'faq']
  .map((name) => `${name}.md`)
  .concat(readdirSync(join(docs, 'migrating')).map((name) => `migrating/${name}`))

const sample = /^<!-- (\S+) -->\n+```(\w+)\n.*?^```$/gms

/** Puts the present contents of the samples' files into a page. */
export function withSamples(page: string): string {
  return page.replace(
    sample,
    (_, path: string, language: string) => `<!-- ${path} -->\n\n\`\`\`${language}\n${readFileSync(join(root, path), 'utf8').trimEnd()}\n\`\`\``,
  )
}

/** The languages of the code blocks that are not samples. */
export const otherBlocks = (page: string): string[] =>
  [...page.replace(sample, '').matchAll(/^```(\w*)\n.*?^```$/gms)].map(([, language = '']) => language)
