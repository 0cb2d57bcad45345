import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile as compileSvelte } from 'svelte/compiler'
import { expect, test } from 'vitest'
import { compileScript, parse } from 'vue/compiler-sfc'
import { root } from '../house/installed.ts'
import { faults } from '../types/consumer.ts'

const page = readFileSync(join(root, 'docs/frameworks.md'), 'utf8')
const codeOf = (language: string): string[] => [...page.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))].map(([, code = '']) => code)
const [[locks = ''], [react = ''], [vue = ''], [svelte = '']] = ['ts', 'tsx', 'vue', 'svelte'].map(codeOf) as [string[], string[], string[], string[]]

// Each of the page’s examples, compiled as a user would compile it.

test('the example for React has the right types', () => {
  expect(faults({ 'app.tsx': react, 'locks.ts': locks })).toEqual([])
}, 120_000)

test('the example for Vue has the right types, in its template too', () => {
  const { descriptor, errors } = parse(vue)
  expect(errors).toEqual([])
  // The template becomes a function, which TypeScript checks with the rest.
  const { content } = compileScript(descriptor, { id: 'app', inlineTemplate: true, genDefaultAs: 'component' })
  expect(content).toContain('assertHeld')
  expect(faults({ 'app.ts': content })).toEqual([])
}, 120_000)

test('the example for Svelte compiles, and its script has the right types', () => {
  const { warnings, js } = compileSvelte(svelte, { filename: 'App.svelte', generate: 'client' })
  expect(warnings).toEqual([])
  expect(js.code).toContain('assertHeld')
  const [, script = ''] = /<script lang="ts">(.*?)<\/script>/s.exec(svelte) ?? []
  const runes = 'declare function $props(): { id: string }'
  const uses = '\n;[draft.subscribe(({ lock }) => lock?.assertHeld()), leads.subscribe((leads: boolean) => leads)]'
  expect(faults({ 'app.ts': `${script}${uses}\n${runes}` })).toEqual([])
}, 120_000)
