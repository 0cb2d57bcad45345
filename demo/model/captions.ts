import type { Step } from './history.ts'

/** What storelock promises, in the words of the README. */
export const promises = {
  fenced: 'A fenced write is refused unless the lock is still held.',
  told: 'You are told when you lose a lock.',
  dead: 'A dead holder costs milliseconds.',
  hung: 'A hung holder costs one lease.',
  fair: 'Waiters are served in the order they asked.',
  clocks: 'No wall clock decides who holds a lock.',
} as const

export interface Caption {
  readonly text: string
  /** The promise that this caption illustrates. */
  readonly shows?: keyof typeof promises
  /** Whether something went wrong, or was prevented. */
  readonly tone?: 'bad' | 'good'
}

/** Describes in plain words what just happened. `undefined` for common events. */
export function captionOf({ report, holder, takeOver }: Step): Caption | undefined {
  const { worker } = report
  const name = capital(worker)
  switch (report.type) {
    case 'holds':
      if (!takeOver) return undefined
      if (takeOver.why === 'death')
        return { text: `${name} got the lock ${after(takeOver)}: ${takeOver.from} was proved dead.`, shows: 'dead', tone: 'good' }
      if (takeOver.why === 'silence')
        return { text: `${name} got the lock ${after(takeOver)}: the lease of ${takeOver.from} had run out.`, shows: 'hung', tone: 'good' }
      return { text: `${name} stole the lock from ${takeOver.from}, ahead of the queue.` }
    case 'hangs':
      return {
        text: `${name} ${standstills[report.how]}, with the lock, just before its write. It may only be slow, so the others wait until its lease runs out.`,
      }
    case 'wrote':
      if (!report.late) return undefined
      return {
        text: `${name} woke up and wrote, when its lease had run out. With a lease only, that went through: writes are lost.`,
        tone: 'bad',
      }
    case 'refused':
      return {
        text: `The fence refused the late write of ${worker}: ${holder && holder !== worker ? `${holder} has the lock now` : 'it no longer holds the lock'}. No fenced write is lost.`,
        shows: 'fenced',
        tone: 'good',
      }
    case 'lost':
      return {
        text: `${name} was told that its lock ${report.how === 'stolen' ? 'was stolen' : 'had ended'}, and did not write.`,
        shows: 'told',
        tone: 'good',
      }
    case 'keeps':
      return { text: `${name} has the lock and keeps it. The others wait in a queue.`, shows: 'fair' }
    case 'asks':
      return { text: `${name} asks ${holder && holder !== worker ? holder : 'the holder'} to release the lock, and waits.` }
    case 'asked':
      return { text: `${name} was asked to release: it still holds the lock, finishes its write and lets go.` }
    case 'clock':
      return { text: `The clock of ${worker} was set one hour ahead. Nobody takes a lock from it for that.`, shows: 'clocks', tone: 'good' }
    case 'crashed':
      // The next holder reported its grant before the loss was reported.
      if (takeOver)
        return {
          text: `${name} ${report.how} while it held the lock. ${capital(takeOver.to)} got it ${after(takeOver)}: ${worker} was proved dead.`,
          shows: 'dead',
          tone: 'good',
        }
      return { text: `${name} ${report.how}${holder === worker ? ' while it held the lock' : ''}.` }
    case 'left':
      return { text: `${name} was closed, and left nothing behind.` }
    case 'failed':
      return { text: `${name}: ${report.message}`, tone: 'bad' }
    default:
      return undefined
  }
}

const standstills = { busy: 'hangs', stopped: 'was stopped', breakpoint: 'stands at a breakpoint' }

const after = ({ since, at }: { readonly since: number; readonly at: number }): string =>
  at - since < 1_000 ? `${Math.max(1, Math.round(at - since))} ms later` : `${((at - since) / 1_000).toFixed(1)} s later`

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)
