import { arrow, box, boxHeight, svg, type Tone, text, width } from './svg.ts'

/** A step of the timeline, drawn below the one before it. It has a number unless it only says that time passes. */
export type Step =
  | { readonly from: number; readonly to: number; readonly text: string; readonly tone?: Tone; readonly lost?: boolean }
  | { readonly at: number; readonly text: string; readonly tone?: Tone }
  | { readonly later: string }

/** A state of a lane from one step to another, by their indices, or to the end. */
export interface Bar {
  readonly lane: number
  readonly from: number
  readonly to?: number
  readonly kind: 'held' | 'stopped'
}

/** The lanes, and the steps between them from top to bottom. A `|` in a text begins a new line. */
export interface Timeline {
  readonly title: string
  readonly description: string
  readonly lanes: readonly string[]
  readonly steps: readonly Step[]
  readonly bars?: readonly Bar[]
}

const meanings = { held: 'believes that it holds the lock', stopped: 'is stopped' }

const lines = (text: string): string[] => text.split('|')

export function drawTimeline({ title, description, lanes, steps, bars = [] }: Timeline): string {
  const space = (width - 60) / lanes.length
  const x = (lane: number): number => 44 + space * (lane + 0.5)
  let y = 54
  let number = 0
  const middles: number[] = []
  const drawn = steps.map((step) => {
    const said = lines('later' in step ? step.later : step.text)
    const height = 'at' in step ? boxHeight(said) + 12 : 'from' in step ? said.length * 15 + 17 : said.length * 15 + 10
    const top = y
    y += height
    if ('later' in step) {
      middles.push(top + height / 2)
      return text(width / 2 + 14, top + height / 2, said, 'small label')
    }
    const { tone = 'plain' } = step
    const mark = (at: number): string => text(20, at, [`${++number}`], 'strong small')
    if ('at' in step) {
      middles.push(top + height / 2)
      return mark(top + height / 2) + box(x(step.at), top + 6, space - 4, said, tone)
    }
    const at = top + said.length * 15 + 8
    middles.push(at)
    const toward = Math.sign(step.to - step.from)
    const middle = (x(step.from) + x(step.to)) / 2
    const label = text(middle, at - 7 - (said.length * 15) / 2, said, 'label')
    return mark(at) + arrow([x(step.from) + toward * 8, at], [x(step.to) - toward * 8, at], tone, step.lost) + label
  })
  const bottom = y + 6
  const lives = lanes.map((_, lane) => `<path class="life" d="M${x(lane)} 40V${bottom}"/>`)
  const shown = bars.map(({ lane, from, to, kind }) => {
    const [start = 0, end = bottom - 2] = [middles[from], middles[to ?? Infinity]]
    const at = `x="${x(lane) - 6}" y="${start - 2}" width="12" height="${end - start + 4}" rx="3"`
    return kind === 'held' ? `<rect class="held" ${at}/>` : `<rect class="bad" ${at}/><rect fill="url(#stripes)" opacity="0.6" ${at}/>`
  })
  const kinds = [...new Set(bars.map(({ kind }) => kind))]
  const legend = kinds.map((kind, index) => {
    const at = bottom + 16 + index * 18
    return `<rect class="${kind === 'held' ? 'held' : 'bad'}" x="30" y="${at - 5}" width="22" height="10" rx="3"/>${text(60, at, [meanings[kind]], 'small', 'start')}`
  })
  const heads = lanes.map((name, lane) => box(x(lane), 12, space - 14, [name], 'plain', 'strong'))
  return svg(bottom + 14 + kinds.length * 18, title, description, [...lives, ...shown, ...heads, ...drawn, ...legend])
}
