import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { launchOptions } from '../e2e/browser.ts'
import { root } from './bundle.ts'
import type { Figure } from './figure.ts'

/** Figures mean little without the machine. */
export async function machine(withChromium: boolean): Promise<string> {
  const cores = cpus()
  const parts = [
    `${cores[0]?.model.trim() || process.arch}, ${cores.length} ${cores.length === 1 ? 'core' : 'cores'}`,
    `Node ${process.versions.node}`,
  ]
  if (withChromium) {
    const browser = await chromium.launch(await launchOptions())
    parts.push(`Chromium ${browser.version()}`)
    await browser.close()
  }
  return parts.join(' · ')
}

export function toJson(figures: readonly Figure[]): string {
  const rows = figures.map(({ name, unit, ours, against, theirs, ratio, n }) => ({ name, unit, ours, against, theirs, ratio, n }))
  return `${JSON.stringify({ figures: rows }, null, 2)}\n`
}

const heads = ['figure', 'ours', 'against', 'theirs', 'ratio', 'target', '']

/** For people at a terminal. */
export function toTable(figures: readonly Figure[]): string {
  const rows = [heads, ...figures.map((figure) => cells(figure))]
  const widths = heads.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

export function toMarkdown(figures: readonly Figure[], machine: string): string {
  const line = (row: readonly string[]): string => `| ${row.join(' | ')} |`
  const rule = heads.map((head) => (head === 'figure' || head === 'against' || !head ? '---' : '--:'))
  const rows = figures.map((figure) => cells(figure).map((cell, column) => (column === 0 ? `\`${cell}\`` : cell)))
  const table = [heads, rule, ...rows].map(line)
  return `${table.join('\n')}\n\nMedians of one run of \`npm run bench\` on ${machine}.`
}

/** Puts the table between the README's `<!-- bench -->` and `<!-- /bench -->`. */
export function updateReadme(markdown: string, path = join(root, 'README.md')): void {
  const text = readFileSync(path, 'utf8')
  const place = /(<!-- bench -->)[\s\S]*?(<!-- \/bench -->)/
  if (!place.test(text)) throw new Error(`${path} has no <!-- bench --> … <!-- /bench --> to put the table into`)
  writeFileSync(
    path,
    text.replace(place, (_, open: string, close: string) => `${open}\n${markdown}\n${close}`),
  )
}

function cells({ name, unit, ours, against, theirs, ratio, target }: Figure): string[] {
  const verdict = target === undefined ? '' : ratio <= target ? 'pass' : 'miss'
  return [
    name,
    `${short(ours)} ${unit}`,
    against,
    `${short(theirs)} ${unit}`,
    short(ratio),
    target === undefined ? '' : `≤ ${short(target)}`,
    verdict,
  ]
}

/** Three figures, or all there are before the point: more would be noise. */
const short = (value: number): string => (value >= 100 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3))))
