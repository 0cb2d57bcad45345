import type { Command, Outcome } from '../../protocol/index.ts'
import type { Notes } from './notes.ts'

/** Commands that are carried out together, in order. */
export interface Job {
  readonly commands: readonly Command[]
  /** What no other job may name at the same time. */
  readonly alone: readonly string[]
  /** What other jobs may name at the same time, but not among their `alone`. */
  readonly shared: readonly string[]
  /** What is noted of them, by their places among `commands`. */
  readonly notes?: Notes | undefined
  resolve(outcomes: readonly Outcome[]): void
  reject(error: unknown): void
}

/**
 * Splits a batch into jobs for each key and each session's heartbeat, so that what others do to one of them holds up no other. `applied` resolves when
 * all of them are done.
 */
export function jobsOf(commands: readonly Command[], notes?: Notes): { readonly jobs: readonly Job[]; readonly applied: Promise<Outcome[]> } {
  if (commands.length === 1) return jobOf(commands, notes)
  const groups = new Map<string, number[]>()
  // What a session does must neither begin before it is open nor end after it.
  const together = commands.some(opensOrEnds)
  commands.forEach((command, index) => {
    const name = together ? '' : namesOf(command).alone.join()
    const group = groups.get(name)
    if (group) group.push(index)
    else groups.set(name, [index])
  })
  const outcomes: Outcome[] = []
  const jobs: Job[] = []
  const done = Array.from(
    groups.values(),
    (indices) =>
      new Promise<void>((resolve, reject) => {
        const own = indices.map((index) => commands[index] as Command)
        const names = own.map(namesOf)
        const filled = (answers: readonly Outcome[]): void => {
          indices.forEach((index, at) => {
            outcomes[index] = answers[at] as Outcome
          })
          resolve()
        }
        jobs.push({
          commands: own,
          alone: names.flatMap(({ alone }) => alone),
          shared: names.flatMap(({ shared }) => shared),
          notes: notes && within(notes, indices),
          resolve: filled,
          reject,
        })
      }),
  )
  return { jobs, applied: Promise.all(done).then(() => outcomes) }
}

/** The same for a single command, as most are, with less to do. */
function jobOf(commands: readonly Command[], notes: Notes | undefined): ReturnType<typeof jobsOf> {
  const jobs: Job[] = []
  const applied = new Promise<Outcome[]>((resolve, reject) => {
    const { alone, shared } = namesOf(commands[0] as Command)
    jobs.push({ commands, alone, shared, notes, resolve: (outcomes) => resolve([...outcomes]), reject })
  })
  return { jobs, applied }
}

/**
 * The jobs that can begin now, which go in one batch; the others have to wait for those under way, or for an earlier one that does.
 * @param apart whether those that begin must not have to wait for each other either
 */
export function pick(jobs: readonly Job[], underWay: Iterable<Job>, apart = false): { readonly picked: Job[]; readonly left: Job[] } {
  const alone = new Set<string>()
  const shared = new Set<string>()
  const note = (job: Job): void => {
    for (const name of job.alone) alone.add(name)
    for (const name of job.shared) shared.add(name)
  }
  for (const job of underWay) note(job)
  const picked: Job[] = []
  const left: Job[] = []
  for (const job of jobs) {
    const waits = job.alone.some((name) => alone.has(name) || shared.has(name)) || job.shared.some((name) => alone.has(name))
    if (waits || apart) note(job)
    if (waits) left.push(job)
    else picked.push(job)
  }
  return { picked, left }
}

/** How many of these jobs go in one batch: at least one, and no more than have so many commands. */
export function howMany(jobs: readonly Job[], largest: number): number {
  let commands = 0
  const over = jobs.findIndex((job) => {
    commands += job.commands.length
    return commands > largest
  })
  return over < 0 ? jobs.length : Math.max(over, 1)
}

/** Notes of some of the commands. */
const within = ({ insertion, rowsOf, kept }: Notes, indices: readonly number[]): Notes => ({
  insertion,
  rowsOf: (outcome, at) => rowsOf(outcome, indices[at] as number),
  kept: (at) => kept(indices[at] as number),
})

const opensOrEnds = (command: Command): boolean => command.type === 'end' || (command.type === 'beat' && command.opens === true)

/** Heartbeats wait for nothing but the heartbeats before them. */
function namesOf(command: Command): Pick<Job, 'alone' | 'shared'> {
  if ('key' in command) return { alone: [`key ${command.key}`], shared: 'session' in command ? [`session ${command.session}`] : [] }
  const beat = `beat ${command.session}`
  return { alone: opensOrEnds(command) ? [beat, `session ${command.session}`] : [beat], shared: [] }
}
