import { promises } from '../model/captions.ts'
import { type Chapter, faults, rows } from './result.ts'

/** The report of a tour as one HTML page, which shows the files beside it. */
export function page(chapters: readonly Chapter[], timelines: readonly string[], pictures: readonly string[]): string {
  const wrong = chapters.flatMap(faults)
  const [head = [], ...body] = rows(chapters)
  const cells = (kind: string, row: readonly string[]) => `<tr>${row.map((cell) => `<${kind}>${plain(cell)}</${kind}>`).join('')}</tr>`
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>storelock demo: report</title>
<style>${style}</style>
<h1>storelock demo: report</h1>
<p>${wrong.length ? wrong.map((fault) => `<strong>${plain(fault)}</strong>`).join('<br>') : 'No fenced write was lost.'}</p>
<table>${cells('th', head)}${body.map((row) => cells('td', row)).join('')}</table>
${chapters.map((chapter, index) => chapterOf(chapter, timelines[index] ?? '')).join('\n')}
${pictures.length ? '<h2>Pictures</h2>' : ''}
${pictures.map((name) => `<figure><img src="${name}" alt="the page of the demo"><figcaption>${plain(name)}</figcaption></figure>`).join('\n')}
</html>
`
}

function chapterOf({ cast, log, from }: Chapter, timeline: string): string {
  const said = log.captions.map(({ text, shows, tone = '', at }) => {
    const promise = shows ? ` <em>Promise: ${plain(promises[shows])}</em>` : ''
    return `<li class="${tone}"><time>${((at - from) / 1_000).toFixed(1)} s</time> ${plain(text)}${promise}</li>`
  })
  return `<h2>${plain(cast.title)}</h2>\n<img src="${timeline}" alt="who had the lock, and when">\n<ol>${said.join('\n')}</ol>`
}

const plain = (text: string): string => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`)

const style = `
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { max-width: 82rem; margin: 1rem auto; padding: 0 1rem }
img { max-width: 100%; height: auto }
td, th { padding: .2rem 1rem .2rem 0; text-align: left }
ol { padding: 0; list-style: none }
time { display: inline-block; width: 4rem; opacity: .7 }
em { opacity: .7 }
.bad, strong { color: light-dark(#b32725, #ff8a84) }
figure { margin: 1rem 0 }`
