import pc from 'picocolors'
import type { Half } from './half.ts'

/** What the terminal shows: lines that stay and, on a terminal, a live view under them. */
export interface Terminal {
  say(line: string): void
  /** Shows these from now on. */
  watch(halves: readonly Half[]): void
  stop(): void
}

/** A file or a pipe gets a line from time to time instead of a view that is drawn again. */
const redrawEvery = 100
const lineEvery = 2_000

export function openTerminal(out: NodeJS.WriteStream = process.stdout): Terminal {
  const started = performance.now()
  let halves: readonly Half[] = []
  let drawn = 0
  let timer: NodeJS.Timeout | undefined

  const erase = () => {
    if (drawn > 0) out.write(`\x1b[${drawn}A\x1b[J`)
    drawn = 0
  }
  const draw = () => {
    erase()
    const width = Math.max(20, (out.columns || 80) - 1)
    // Cut before colouring: a line that wraps could not be erased.
    const lines = halves.flatMap((half) => view(half, width))
    for (const line of lines) out.write(`${line}\n`)
    drawn = lines.length
  }
  const time = () => pc.dim(`${((performance.now() - started) / 1_000).toFixed(1).padStart(5)} s  `)

  return {
    say(line) {
      erase()
      out.write(`${time()}${line}\n`)
      if (timer !== undefined && out.isTTY) draw()
    },
    watch(shown) {
      halves = shown
      timer = out.isTTY
        ? setInterval(draw, redrawEvery)
        : setInterval(() => {
            for (const half of halves) out.write(`${time()}${pc.dim(summary(half))}\n`)
          }, lineEvery)
    },
    stop() {
      clearInterval(timer)
      timer = undefined
      erase()
    },
  }
}

function view(half: Half, width: number): string[] {
  const { holder, waiting } = half.log.sight
  const cut = (text: string) => (text.length > width ? `${text.slice(0, width - 1)}…` : text)
  return [
    '',
    pc.bold(cut(`${half.title} · ${half.log.of('granted').length} grants`)),
    holder === undefined ? pc.dim('  held by  nobody') : pc.green(cut(`  held by  ${holder.writer.padEnd(10)}  token ${holder.token}`)),
    pc.dim(cut(`  waiting  ${waiting.join(', ') || 'nobody'}`)),
  ]
}

function summary(half: Half): string {
  const { holder, waiting } = half.log.sight
  const held = holder === undefined ? 'held by nobody' : `held by ${holder.writer}, token ${holder.token}`
  return `${half.title}: ${held}; waiting: ${waiting.join(', ') || 'nobody'}; ${half.log.of('granted').length} grants`
}
