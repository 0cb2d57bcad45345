/** The meaning of a colour: the lock is held, something went wrong, or something went right. */
export type Tone = 'plain' | 'held' | 'bad' | 'good'

/** The width of all pictures: that of a phone, so that text of 12 px is legible there. */
export const width = 380

const lineHeight = 15

// A picture has its own background. It follows the colour scheme of the page, or that of the system if it cannot.
const style = `
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .small { font-size: 11px; fill: #59636e }
  .strong { font-weight: 600 }
  .label { paint-order: stroke; stroke: #ffffff; stroke-width: 4px; stroke-linejoin: round }
  .ground { fill: #ffffff; stroke: #d1d9e0 }
  .life { stroke: #afb8c1; stroke-dasharray: 2 4 }
  .plain { fill: #f6f8fa; stroke: #818b98 } .held { fill: #ddf4ff; stroke: #0969da } .bad { fill: #ffebe9; stroke: #cf222e } .good { fill: #dafbe1; stroke: #1a7f37 }
  .arrow { fill: none; stroke-width: 1.5 } .arrow.plain { stroke: #59636e } .arrow.held { stroke: #0969da } .arrow.bad { stroke: #cf222e } .arrow.good { stroke: #1a7f37 }
  .head { stroke: none } .head.plain { fill: #59636e } .head.held { fill: #0969da } .head.bad { fill: #cf222e } .head.good { fill: #1a7f37 }
  .stripe { stroke: #cf222e; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .small { fill: #9198a1 }
    .ground { fill: #161b22; stroke: #3d444d }
    .label { stroke: #161b22 }
    .life { stroke: #59636e }
    .plain { fill: #21262d; stroke: #818b98 } .held { fill: #12304f; stroke: #4493f8 } .bad { fill: #461a1c; stroke: #f85149 } .good { fill: #14351f; stroke: #3fb950 }
    .arrow.plain { stroke: #9198a1 } .arrow.held { stroke: #4493f8 } .arrow.bad { stroke: #f85149 } .arrow.good { stroke: #3fb950 }
    .head.plain { fill: #9198a1 } .head.held { fill: #4493f8 } .head.bad { fill: #f85149 } .head.good { fill: #3fb950 }
    .stripe { stroke: #f85149 }
  }`

const escaped = (text: string): string => text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`)

/** A whole picture. @param description the text alternative for readers who cannot see it */
export function svg(height: number, title: string, description: string, parts: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="title description">
<title id="title">${escaped(title)}</title>
<desc id="description">${escaped(description)}</desc>
<style>${style}
</style>
<defs><pattern id="stripes" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path class="stripe" d="M0 0V6"/></pattern></defs>
<rect class="ground" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>
${parts.join('\n')}
</svg>
`
}

/** Lines of text, vertically centred on `y`. */
export function text(x: number, y: number, lines: readonly string[], kind = '', anchor: 'middle' | 'start' = 'middle'): string {
  const top = y - ((lines.length - 1) * lineHeight) / 2 + 4
  return lines
    .map((line, index) => `<text class="${kind}" x="${x}" y="${top + index * lineHeight}" text-anchor="${anchor}">${escaped(line)}</text>`)
    .join('')
}

/** The height of a box around these lines. */
export const boxHeight = (lines: readonly string[]): number => lines.length * lineHeight + 10

/** A box around lines of text, below `y`. */
export function box(x: number, y: number, wide: number, lines: readonly string[], tone: Tone, kind = ''): string {
  const height = boxHeight(lines)
  const rect = `<rect class="${tone}" x="${x - wide / 2}" y="${y}" width="${wide}" height="${height}" rx="5"/>`
  return rect + text(x, y + height / 2, lines, kind)
}

/** An arrow from one point to another. @param broken whether it fails to arrive */
export function arrow(from: readonly [number, number], to: readonly [number, number], tone: Tone, broken = false): string {
  const [x1, y1] = from
  const [x2, y2] = to
  const length = Math.hypot(x2 - x1, y2 - y1)
  const [dx, dy] = [(x2 - x1) / length, (y2 - y1) / length]
  const end = broken ? length * 0.62 : length
  const [ex, ey] = [x1 + dx * end, y1 + dy * end]
  const line = `<path class="arrow ${tone}" d="M${x1} ${y1}L${round(ex - (broken ? 0 : dx * 6))} ${round(ey - (broken ? 0 : dy * 6))}"/>`
  if (broken) return `${line}<path class="arrow bad" d="M${ex - 5} ${ey - 5}l10 10m0-10l-10 10"/>`
  const points = [[ex, ey], ...[-4, 4].map((side) => [ex - dx * 8 - dy * side, ey - dy * 8 + dx * side])]
  return `${line}<path class="head ${tone}" d="M${points.map(([x = 0, y = 0]) => `${round(x)} ${round(y)}`).join('L')}Z"/>`
}

const round = (value: number): number => Math.round(value * 10) / 10
