import type { EngineName } from './engine.ts'
import type { Finding } from './findings.ts'

/** The page with the table, which stands between `<!-- engines -->` and `<!-- /engines -->`. */
export const enginesPage = 'docs/where-it-runs.md'

const titles: Record<EngineName, string> = { chromium: 'Chromium', firefox: 'Firefox', webkit: 'WebKitGTK' }

/** The findings about each engine, as a Markdown table. */
export function tableOf(findings: readonly Finding[]): string {
  return [
    '| engine | version | what it lacks, and we do without | why some tests are left out there |',
    '|---|---|---|---|',
    ...findings.map(rowOf),
  ].join('\n')
}

/** The engines for which the table differs from the findings. Versions do not count. */
export function outdated(table: string, findings: readonly Finding[]): string[] {
  const told = table.split('\n').map(withoutVersion)
  return findings.filter((finding) => !told.includes(withoutVersion(rowOf(finding)))).map(({ engine }) => titles[engine])
}

const rowOf = ({ engine, version, lacks, leftOut }: Finding): string => {
  const reasons = new Set(leftOut.map(({ why }) => why))
  return `| ${titles[engine]} | ${version} | ${listed(lacks)} | ${listed([...reasons].sort())} |`
}

const listed = (items: readonly string[]): string => items.join('; ') || '—'

const withoutVersion = (row: string): string => row.replace(/^(\| [^|]+ \|)[^|]+/, '$1 ')
