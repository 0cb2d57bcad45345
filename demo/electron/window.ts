// A window's page: it takes turns with all others, through the port that the preload script passes on.
import { wrap } from 'storelock/worker'
import { listen, writerOver } from './ledger.ts'
import { type News, takeTurns } from './take-turns.ts'

declare const crash: () => void

const part = (id: string): HTMLElement => document.getElementById(id) as HTMLElement

const words = (news: News): string => {
  switch (news.state) {
    case 'waiting':
      return 'waiting for the lock'
    case 'holding':
      return `holding the lock, token ${news.token}`
    case 'wrote':
      return `wrote turn ${news.number}`
    case 'failed':
      return `failed: ${news.why}`
  }
}

window.addEventListener('message', ({ data, ports: [port] }) => {
  if (!port) return
  const { who } = data as { readonly who: string }
  document.title = who
  part('who').textContent = who
  const tell = (news: News): void => {
    part('state').textContent = words(news)
    part('state').dataset.state = news.state
  }
  listen(port, (message) => {
    if (!('turns' in message)) return
    const rows = message.turns.map((turn) => {
      const row = document.createElement('tr')
      for (const text of [turn.number, turn.who, turn.token]) row.insertCell().textContent = String(text)
      row.classList.toggle('own', turn.who === who)
      return row
    })
    part('turns').replaceChildren(...rows)
  })
  takeTurns(wrap(port, { label: who }), writerOver(port, who), tell, new AbortController().signal, 400)
})

part('hang').addEventListener('click', () => {
  const until = performance.now() + 6_000
  while (performance.now() < until);
})
part('crash').addEventListener('click', () => crash())
