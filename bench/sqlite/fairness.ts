import { setTimeout as sleep } from 'node:timers/promises'
import { figure, type Measure } from '../figure.ts'
import { inFolder } from '../folder.ts'
import { betweenProcesses, type PeerName } from '../peers/between-processes.ts'
import { type Other, type Role, start } from '../processes.ts'

const processes = 8
/** How long the processes compete, in ms. */
const ours = 10_000
const theirs = 4_000

export const measures: Record<string, Measure> = {
  'sqlite.fairness': async (progress) => {
    const own = await compete('ours', ours, (done) => progress(done / 2))
    const tight = await compete('lockfileTight', theirs, (done) => progress(0.5 + done / 4))
    const slow = await compete('lockfileDefault', theirs, (done) => progress(0.75 + done / 4))
    const name = 'sqlite.fairness'
    const unit = '× the fewest grants'
    return [
      figure(name, unit, own.spread, `as many for each of ${processes} processes in ${ours / 1_000} s`, 1, own.grants, 1.05),
      figure(name, unit, own.spread, betweenProcesses.lockfileTight.title, tight.spread, tight.grants),
      figure(name, unit, own.spread, betweenProcesses.lockfileDefault.title, slow.spread, slow.grants),
    ]
  },
}

/** Starts processes that take a lock as often as they can. @returns the most grants of a process divided by the fewest, and all grants */
const compete = (name: PeerName, ms: number, progress: (done: number) => void): Promise<{ spread: number; grants: number }> =>
  inFolder(async (folder) => {
    const place: CompetitorPlace = { folder, name, ms }
    const others: Other[] = []
    for (let i = 0; i < processes; i++) others.push(await start('competitor', place))
    for (const other of others) other.say('go')
    for (let passed = 0; passed < ms; passed += 500) {
      await sleep(500)
      progress((passed + 500) / ms)
    }
    const counts = await Promise.all(others.map((other) => other.hear<number>('grants')))
    for (const other of others) other.kill()
    // A process without a grant counts as if it had one, since the ratio would be infinite.
    return { spread: Math.max(...counts) / Math.max(1, Math.min(...counts)), grants: counts.reduce((sum, count) => sum + count) }
  })

interface CompetitorPlace {
  readonly folder: string
  readonly name: PeerName
  /** In ms. */
  readonly ms: number
}

/** Takes and releases a lock again and again. */
export const competitor: Role<CompetitorPlace> = async ({ folder, name, ms }, starter) => {
  const locker = await betweenProcesses[name].open({ folder, servers: {}, first: true })
  // The first turn opens connections.
  await (await locker.acquire())()
  starter.on('go', async () => {
    const end = performance.now() + ms
    let grants = 0
    setTimeout(() => starter.say('grants', grants), ms)
    while (performance.now() < end) {
      const release = await locker.acquire()
      if (performance.now() < end) grants++
      await release()
    }
  })
  return async () => locker.close()
}
