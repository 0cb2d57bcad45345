/** Shows progress: on a terminal one line that is updated, elsewhere a line for each quarter. */
export function progressOf(name: string): (done: number) => void {
  let shown = 0
  return (done) => {
    const percent = process.stderr.isTTY ? Math.floor(done * 100) : Math.floor(done * 4) * 25
    if (percent === shown) return
    shown = percent
    const line = `${name} ${percent} %`
    process.stderr.write(process.stderr.isTTY ? `\r${line}${percent === 100 ? '\n' : ''}` : `${line}\n`)
  }
}
