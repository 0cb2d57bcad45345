import { arrow, box, boxHeight, svg, text } from './svg.ts'

/** Questions, one below another: yes leads to the answer beside it, no leads to the next question. A `|` begins a new line. */
export interface Decisions {
  readonly title: string
  readonly description: string
  readonly questions: readonly (readonly [question: string, answer: string])[]
  /** The answer after the last no. */
  readonly otherwise: string
}

export function drawDecisions({ title, description, questions, otherwise }: Decisions): string {
  let y = 16
  const parts = questions.map(([question, answer]) => {
    const [asked, said] = [question.split('|'), answer.split('|')]
    const height = Math.max(boxHeight(asked), boxHeight(said))
    const middle = y + height / 2
    const top = y
    y += height + 30
    return [
      box(100, middle - boxHeight(asked) / 2, 172, asked, 'plain'),
      arrow([186, middle], [226, middle], 'good'),
      text(205, middle - 10, ['yes'], 'small'),
      box(297, middle - boxHeight(said) / 2, 142, said, 'good'),
      arrow([100, middle + boxHeight(asked) / 2], [100, top + height + 30], 'plain'),
      text(114, top + height + 15, ['no'], 'small'),
    ].join('')
  })
  const last = otherwise.split('|')
  return svg(y + boxHeight(last) + 16, title, description, [...parts, box(100, y, 172, last, 'held')])
}
