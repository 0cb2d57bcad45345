import { stripVTControlCharacters } from 'node:util'

/** The lines that fit on a screen, with one line to spare: the table first, then the newest events. The size is 0 if it is unknown. */
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

/** Cuts a line to a width. A line that has to be cut loses its colours. */
function cut(line: string, width: number): string {
  const plain = stripVTControlCharacters(line)
  return plain.length > width ? `${plain.slice(0, width - 1)}…` : line
}
