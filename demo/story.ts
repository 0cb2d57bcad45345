import type { Half } from './half.ts'
import { report } from './messages.ts'

/** A holder that went silent, and what became of its lock. */
export interface Incident {
  readonly writer: string
  readonly token: number
  /** What happened to it. */
  readonly what: string
  /** Wall time in ms: when it fell silent, and when another had the lock. */
  readonly at: number
  readonly over: number
  readonly by: string
}

/** How often each writer writes between two incidents. */
const turnsEach = 5

type Say = (line: string) => void

/**
 * Takes turns, kills a holder, stops a holder, takes turns again, and ends. Waits for what the writers tell, never for a while.
 *
 * @param incidents gets what happened, as it happens
 */
export async function story(half: Half, incidents: Incident[], say: Say): Promise<void> {
  const [, doomed = '', , sleeper = ''] = half.names
  const survivors = half.names.filter((name) => name !== doomed)

  await turns(half, half.names)
  say('everyone has taken turns')

  incidents.push(await silence(half, doomed, survivors, half.killed, say, () => half.kill(doomed)))
  await turns(half, survivors)

  const woke = half.log.next('woke', `${sleeper} to wake`, ({ writer }) => writer === sleeper)
  // Awaited only after the take-over, which may fail first.
  woke.catch(() => {})
  const others = survivors.filter((name) => name !== sleeper)
  incidents.push(await silence(half, sleeper, others, half.stopped, say, async () => half.order(sleeper, 'stand-still')))
  half.wake(sleeper)
  const { held, aborted } = await woke
  if (held || !aborted) throw new Error(`${sleeper} woke up and was not told that its lock is lost`)
  say(`${sleeper} runs again and knows at once: isHeld() is false, its signal aborted`)
  await turns(half, survivors)

  const done = Promise.all(survivors.map((name) => half.log.next('done', `${name} to finish`, ({ writer }) => writer === name)))
  for (const name of survivors) half.order(name, 'finish')
  await done
}

/** Resolves when each of these has made some writes from now on. */
async function turns(half: Half, names: readonly string[]): Promise<void> {
  await Promise.all(
    names.map((name) => {
      let writes = 0
      return half.log.next('wrote', `turns of ${name}`, ({ writer }) => writer === name && ++writes === turnsEach)
    }),
  )
}

/** Lets a writer take the lock and keep it. Resolves with its token when all others have seen that it holds it. */
function hold({ log, order }: Half, victim: string, others: readonly string[]): Promise<number> {
  order(victim, 'keep')
  let token: number | undefined
  /** What each saw last: the sight of a grant may come before the holder's own word of it. */
  const seen = new Map<string, number | undefined>()
  return log.find(`${victim} to be seen with the lock`, (told) => {
    // Not always the first grant: on a machine that is too busy to confirm it in time, it is lost and the writer waits again.
    if (told.type === 'granted' && told.writer === victim && told.kept) token = told.token
    if (told.type === 'sight') seen.set(told.writer, told.sight.holder?.token)
    return others.every((name) => seen.get(name) === token) ? token : undefined
  })
}

/** Silences a writer while it holds the lock. Resolves when another has the lock and all others have seen the take-over. */
async function silence(half: Half, victim: string, others: readonly string[], what: string, say: Say, blow: () => Promise<void>): Promise<Incident> {
  const { log } = half
  const token = await hold(half, victim, others)
  const next = log.next('granted', `a take-over from ${victim}`, (grant) => grant.token > token)
  const seen = others.map((name) => log.next('take-over', `${name} to see the take-over`, ({ writer, lost }) => writer === name && lost === token))
  const { at } = report(victim, { type: 'waiting' })
  say(`${victim} holds the lock and is ${what}`)
  const [{ writer: by, at: over }] = await Promise.all([next, blow(), ...seen])
  say(`${by} took over after ${((over - at) / 1_000).toFixed(2)} s, and all ${others.length} others have seen it`)
  return { writer: victim, token, what, at, over, by }
}
