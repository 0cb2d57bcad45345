import pc from 'picocolors'
import { visible } from '../server/visible.ts'

export { inWords } from '../inspector/words.ts'

// All output goes through `visible` here, and gets its colours afterwards: so no text from the store reaches a terminal unescaped.

const painters = pc.createColors(process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb')

/** Text that gets a colour when it is printed. */
export class Painted {
  readonly text: string
  readonly paint: (text: string) => string

  constructor(text: string, paint: (text: string) => string) {
    this.text = text
    this.paint = paint
  }
}

type Colour = 'bold' | 'dim' | 'red' | 'green' | 'yellow'

const inColour =
  (colour: Colour) =>
  (text: string): Painted =>
    new Painted(text, painters[colour])

/** Colours for the output: none unless it is a terminal, or if `NO_COLOR` is set. */
export const colours: Readonly<Record<Colour, (text: string) => Painted>> = {
  bold: inColour('bold'),
  dim: inColour('dim'),
  red: inColour('red'),
  green: inColour('green'),
  yellow: inColour('yellow'),
}

/** Parts of a line, whose texts may come from anywhere. */
export type Parts = readonly (string | Painted)[]

/** A line for a terminal: escaped and coloured. */
export const lineOf = (...parts: Parts): string =>
  parts.map((part) => (part instanceof Painted ? part.paint(visible(part.text)) : visible(part))).join('')

/** Prints one line. */
export const print = (...parts: Parts): void => void process.stdout.write(`${lineOf(...parts)}\n`)

/** Prints a message for people to stderr, apart from the command's own output. */
export const say = (line: string): void => void process.stderr.write(`storelock: ${visible(line)}\n`)

/** One JSON document on one line. */
export const printJson = (value: unknown): void => print(JSON.stringify(value))

export async function printTable(head: readonly string[], rows: readonly (readonly string[])[]): Promise<void> {
  for (const line of await tableOf(head, rows)) process.stdout.write(`${line}\n`)
}

/** A table without borders, as lines for a terminal. */
export async function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): Promise<string[]> {
  const { default: Table } = await import('cli-table3')
  const none = [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
  ]
  const table = new Table({
    head: head.map((title) => lineOf(colours.bold(title))),
    chars: { ...Object.fromEntries(none.map((name) => [name, ''])), middle: '  ' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  })
  table.push(...rows.map((row) => row.map(visible)))
  return table.toString().replace(/ +$/gm, '').split('\n')
}
