import { cpus } from 'node:os'
import pc from 'picocolors'
import { chromium } from 'playwright-core'
import { launchOptions } from '../e2e/browser.ts'
import type { Curve, Figure } from './figure.ts'

/** Describes the machine, without which figures mean little. */
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

export function toJson(figures: readonly Figure[], curves: readonly Curve[], machine: string): string {
  return `${JSON.stringify({ machine, figures, curves }, null, 2)}\n`
}

const heads = ['figure', 'ours', 'against', 'theirs', 'ratio', 'target', '']

/** The table of figures for a terminal. */
export function toTable(figures: readonly Figure[]): string {
  const rows = [heads, ...figures.map((figure) => cells(figure))]
  const widths = heads.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const colour = (cell: string): string => (cell === 'miss' ? pc.red(cell) : cell === 'pass' ? pc.green(cell) : cell)
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === heads.length - 1 ? colour(cell) : cell.padEnd(widths[column] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** Lists the missed targets, which a reader of a long table wants to know first. */
export function missed(figures: readonly Figure[]): string {
  const aimed = figures.filter(({ target }) => target !== undefined)
  const names = aimed.filter((figure) => !holds(figure)).map(({ name, against }) => `  ${name}, against ${against}`)
  return [`${aimed.length - names.length} of ${aimed.length} targets are met${names.length ? '; these are not:' : '.'}`, ...names].join('\n')
}

export interface Image {
  readonly title: string
  /** The path, relative to the page of the figures. */
  readonly path: string
}

export function toMarkdown(figures: readonly Figure[], images: readonly Image[], machine: string): string {
  const line = (row: readonly string[]): string => `| ${row.join(' | ')} |`
  const rule = heads.map((head) => (head === 'figure' || head === 'against' || !head ? '---' : '--:'))
  const rows = figures.map((figure) => cells(figure).map((cell, column) => (column === 0 ? `\`${cell}\`` : cell)))
  const table = [heads, rule, ...rows].map(line).join('\n')
  const pictures = images.map(({ title, path }) => `![${title}](${path})`)
  return [table, `Medians of one run of \`npm run bench\` on ${machine}.`, ...pictures].join('\n\n')
}

const holds = ({ ratio, target = Infinity }: Pick<Figure, 'ratio' | 'target'>): boolean => ratio <= target

function cells({ name, unit, ours, against, theirs, ratio, target }: Figure): string[] {
  const verdict = target === undefined ? '' : holds({ ratio, target }) ? 'pass' : 'miss'
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

/** Rounds to three digits, or, from 100 on, to a whole number. More digits would be noise. */
const short = (value: number): string => (value >= 100 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3))))
