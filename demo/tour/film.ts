export interface FilmFrame {
  /** When the frame was taken, in ms since the start. */
  readonly at: number
  /** In base64. */
  readonly jpeg: string
}

/** A film as one HTML page, which needs no encoder. It plays at the original speed. */
export function film(frames: readonly FilmFrame[]): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>storelock demo: film</title>
<style>body { margin: 0; font: 15px system-ui; background: #222; color: #eee } img { display: block; max-width: 100%; max-height: 92vh; margin: auto }
p { display: flex; gap: 1rem; margin: .5rem 1rem } input { flex: 1 }</style>
<img id="screen" alt="the page of the demo">
<p><button id="play">Pause</button><input id="at" type="range" min="0" max="${frames.length - 1}" value="0" aria-label="picture"></p>
<script>
const frames = ${JSON.stringify(frames)}
const at = document.getElementById('at'), play = document.getElementById('play'), screen = document.getElementById('screen')
let timer
const show = () => { screen.src = 'data:image/jpeg;base64,' + frames[at.value].jpeg }
const go = () => {
  show()
  const next = frames[+at.value + 1]
  if (!next) return stop()
  timer = setTimeout(() => { at.value = +at.value + 1; go() }, next.at - frames[at.value].at)
}
const stop = () => { clearTimeout(timer); timer = undefined; play.textContent = 'Play' }
play.onclick = () => {
  if (timer) return stop()
  if (+at.value === frames.length - 1) at.value = 0
  play.textContent = 'Pause'
  go()
}
at.oninput = () => { stop(); show() }
go()
</script>
</html>
`
}
