import { visible } from '../server/visible.ts'
import { el, say, svg, type View } from './dom.ts'
import { type Cycle, cycleInWords } from './waits.ts'
import { inWords } from './words.ts'

/** A cycle, how its sessions are called, and since when it is seen, in ms of the monotonic clock. */
export interface Seen {
  readonly cycle: Cycle
  readonly since: number
  nameOf(session: string): string
}

/** Half the size of a node. */
const half = { width: 56, height: 15 }
const width = 340

interface Point {
  readonly x: number
  readonly y: number
}

/** A cycle as a drawing, and in words below it, which everybody can read. */
export function cycleView({ cycle, nameOf }: Seen): View<Seen> {
  const age = el('p', { class: 'dim' })
  const words = cycleInWords(cycle, nameOf)
  const node = el('li', { class: 'cycle' }, drawing(cycle, nameOf, words), el('p', {}, `${words}.`), age)
  return {
    node,
    update: ({ since }) => say(age, `Seen for ${inWords(performance.now() - since)}.`),
  }
}

/** Sessions as boxes and locks as pills, in the order of the cycle, clockwise. Dashed: waits for. Solid: is held by. */
function drawing(cycle: Cycle, nameOf: (session: string) => string, words: string): SVGElement {
  const height = cycle.length === 1 ? 100 : 70 + 50 * cycle.length
  const nodes = cycle.flatMap(({ session, name }) => [
    { text: nameOf(session), kind: 'session' },
    { text: name, kind: 'pill' },
  ])
  const [cx, cy] = [width / 2, height / 2]
  const place = (index: number): Point => {
    const angle = Math.PI + (2 * Math.PI * index) / nodes.length
    return { x: cx + (cx - half.width - 2) * Math.cos(angle), y: cy + (cy - half.height - 2) * Math.sin(angle) }
  }
  const picture = svg('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': words })
  nodes.forEach(({ kind }, index) => {
    picture.append(...arrow(place(index), place(index + 1), kind === 'session' ? 'waits' : 'held'))
  })
  nodes.forEach(({ text, kind }, index) => {
    const { x, y } = place(index)
    const size = { width: `${2 * half.width}`, height: `${2 * half.height}`, rx: kind === 'pill' ? `${half.height}` : '3' }
    const box = svg('rect', { x: `${x - half.width}`, y: `${y - half.height}`, ...size })
    const label = svg('text', { x: `${x}`, y: `${y + 4}` }, shortened(text))
    picture.append(svg('g', { class: kind }, svg('title', {}, text), box, label))
  })
  return picture
}

/** The longest text in a node, in characters. */
const longest = 14

const shortened = (text: string): string => {
  const characters = [...visible(text)]
  return characters.length > longest ? `${characters.slice(0, longest - 1).join('')}…` : characters.join('')
}

/** From the edge of one node to the edge of the next, bent outwards, so that there and back are two. */
function arrow(from: Point, to: Point, kind: string): SVGElement[] {
  const [dx, dy] = [to.x - from.x, to.y - from.y]
  const bend = { x: (from.x + to.x) / 2 + dy * 0.2, y: (from.y + to.y) / 2 - dx * 0.2 }
  const [start, end] = [edge(from, bend), edge(to, bend)]
  const length = Math.hypot(end.x - bend.x, end.y - bend.y) || 1
  const [ux, uy] = [(end.x - bend.x) / length, (end.y - bend.y) / length]
  const at = (back: number, aside: number): string => `${end.x - back * ux - aside * uy} ${end.y - back * uy + aside * ux}`
  return [
    svg('path', { class: kind, d: `M${start.x} ${start.y} Q${bend.x} ${bend.y} ${at(6, 0)}` }),
    svg('path', { class: `${kind} tip`, d: `M${end.x} ${end.y} L${at(8, 4)} L${at(8, -4)} Z` }),
  ]
}

/** Where the line from a node to a point leaves the node. */
function edge({ x, y }: Point, to: Point): Point {
  const [dx, dy] = [to.x - x, to.y - y]
  const part = Math.min(half.width / Math.abs(dx || 1e-6), half.height / Math.abs(dy || 1e-6), 1)
  return { x: x + dx * part, y: y + dy * part }
}
