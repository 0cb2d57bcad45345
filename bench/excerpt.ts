interface Shown {
  /** The title in the README. */
  readonly title: string
  readonly figure: string
  readonly against: string
  readonly peer: string
}

/** The figures that the README shows, faster than a peer or slower. */
const shown: readonly Shown[] = [
  {
    title: 'Acquire and release, SQLite',
    figure: 'sqlite.acquireRelease',
    against: 'proper-lockfile lock + unlock',
    peer: 'proper-lockfile',
  },
  { title: 'Hand over to a waiting process', figure: 'sqlite.handoff', against: 'Postgres advisory lock', peer: 'Postgres advisory lock' },
  {
    title: 'Fenced write, SQLite',
    figure: 'sqlite.fencedWrite',
    against: 'the same write in a bare BEGIN IMMEDIATE transaction',
    peer: 'the same write without a lock',
  },
  {
    title: 'Acquire and release in a tab',
    figure: 'indexeddb.acquireRelease',
    against: 'navigator.locks.request',
    peer: '`navigator.locks`',
  },
  {
    title: 'The same, while it is kept (`linger`)',
    figure: 'linger.acquire',
    against: 'navigator.locks.request, both in Chromium',
    peer: '`navigator.locks`',
  },
  {
    title: 'Take over from a crashed tab',
    figure: 'indexeddb.takeover',
    against: 'the floor: navigator.locks after the same crash',
    peer: '`navigator.locks`',
  },
]

/**
 * The few figures of the README, as Markdown.
 * @param table the Markdown of all figures, made by `toMarkdown`
 * @throws Error if one of them is missing
 */
export function excerptOf(table: string): string {
  const rows = table.split('\n').map((line) => line.split('|').map((cell) => cell.trim()))
  const lines = shown.map(({ title, figure, against, peer }) => {
    const row = rows.find(([, name, , other]) => name === `\`${figure}\`` && other === against)
    if (!row) throw new Error(`there is no figure ${figure} against ${against}, which the README shows`)
    const [, , ours, , theirs] = row
    return `| ${title} | ${ours} | ${theirs} | ${peer} |`
  })
  return ['| | storelock | other | |', '|---|--:|--:|---|', ...lines].join('\n')
}
