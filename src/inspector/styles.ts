/** The panel's styles. The colours follow the system's, or a `color-scheme` that the page sets on the element. */
export const styles = `
:host { all: initial; display: block; color-scheme: light dark; color: CanvasText; background: Canvas; font: 13px/1.45 system-ui, sans-serif; text-align: start }
:host([hidden]) { display: none }
:host([floating]) { position: fixed; z-index: 2147483647; inset: auto .5rem .5rem auto; width: min(28rem, 100vw - 1rem); max-height: min(70vh, 40rem);
  overflow: auto; border: 1px solid var(--line); border-radius: 6px; box-shadow: 0 4px 20px #0004 }
:host { --line: light-dark(#c4c7cc, #4a4d52); --dim: light-dark(#53565c, #a5a9b0); --bad: light-dark(#a80c26, #ff8f99);
  --good: light-dark(#12663a, #6fd69b); --soft: light-dark(#f2f4f6, #24272b) }
* { box-sizing: border-box }
details.panel { padding: .4rem .8rem }
h2, h3, p, ul, ol { margin: 0; padding: 0; font-size: inherit }
h2 { font-size: 1.1em; display: inline }
h3 { font-family: ui-monospace, monospace; overflow-wrap: anywhere; flex: 1 1 auto }
ul, ol { list-style: none }
.bar, .head, .buttons { display: flex; flex-wrap: wrap; gap: .4rem; align-items: center }
.bar input { flex: 1 1 8rem; min-width: 0 }
.head { align-items: baseline }
button, input { font: inherit; color: inherit; background: var(--soft); border: 1px solid var(--line); border-radius: 4px; padding: .15rem .5rem; min-height: 1.9rem }
button { cursor: pointer }
button:hover { border-color: currentColor }
button[aria-pressed=true] { background: var(--line) }
:focus-visible { outline: 2px solid Highlight; outline-offset: 1px }
.do { border-color: var(--bad); color: var(--bad) }
.state, .dim { color: var(--dim) }
.status { min-height: 1.5em; color: var(--dim); overflow-wrap: anywhere }
.status.bad, .overdue .dim, .cycles h2 { color: var(--bad) }
.cycles p { margin-bottom: .3rem }
.lock, .cycle { border-top: 1px solid var(--line); padding: .5rem 0 }
.lock li { display: flex; gap: .5rem; align-items: start; padding: .25rem 0 .25rem .7rem; border-inline-start: 3px solid var(--good) }
.lock li.overdue { border-color: var(--bad) }
.lock ol { counter-reset: place }
.lock ol li { border-color: var(--line); counter-increment: place }
.lock ol li::before { content: counter(place) '.'; color: var(--dim) }
.facts { flex: 1 1 auto; min-width: 0; overflow-wrap: anywhere }
.who { font-weight: 600 }
.json { font-family: ui-monospace, monospace; font-size: .92em }
progress { width: 100%; height: .35rem; accent-color: var(--good) }
svg { display: block; width: 100%; max-width: 28rem; margin: .3rem auto; font: 12px system-ui, sans-serif }
svg text { text-anchor: middle; fill: CanvasText }
rect { fill: var(--soft); stroke: var(--dim) }
.pill rect { stroke: var(--bad) }
path { fill: none; stroke: var(--dim); stroke-width: 1.5 }
.waits { stroke: var(--bad); stroke-dasharray: 4 3 }
.tip { fill: var(--dim); stroke: none }
.waits.tip { fill: var(--bad) }
summary { cursor: pointer; padding: .3rem 0 }
.events { font-family: ui-monospace, monospace; font-size: .92em; overflow-wrap: anywhere }
dialog { color: inherit; background: Canvas; border: 1px solid var(--line); border-radius: 6px; max-width: min(26rem, 100vw - 2rem); padding: 1rem }
dialog::backdrop { background: #0006 }
dialog > * + * { margin-top: .6rem }
dialog label, dialog input { display: block; width: 100% }
.buttons { justify-content: end }
`
