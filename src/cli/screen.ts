import { stripVTControlCharacters } from 'node:util'

/** What fits on a screen, with a line to spare: the table first, then the newest events. A screen of unknown size has size 0. */
export function fitted(table: readonly string[], events: readonly string[], { rows, columns }: { rows: number; columns: number }): string[] {
  const height = (rows || Infinity) - 1
  const room = height - table.length - 1
  const shown = room > 0 ? [...table, '', ...events.slice(-room)] : top(table, height)
  return shown.map((line) => cut(line, columns || Infinity))
}

function top(lines: readonly string[], height: number): readonly string[] {
  if (lines.length <= height) return lines
  return [...lines.slice(0, height - 1), `and ${lines.length - height + 1} lines more`]
}

/** Without its colours where it has to be cut. */
function cut(line: string, width: number): string {
  const plain = stripVTControlCharacters(line)
  return plain.length > width ? `${plain.slice(0, width - 1)}…` : line
}
