import type { Command, Outcome } from '../../protocol/index.ts'
import type { Notes } from './notes.ts'

/** Commands that are carried out together, in order. */
export interface Job {
  readonly commands: readonly Command[]
  /** Names that no other job may use at the same time. */
  readonly alone: readonly string[]
  /** Names that other jobs may use at the same time, but not in their `alone`. */
  readonly shared: readonly string[]
  /** A lock server's notes of the commands, by their index in `commands`. */
  readonly notes?: Notes | undefined
  resolve(outcomes: readonly Outcome[]): void
  reject(error: unknown): void
}

/**
 * Splits a batch into one job for each key and each session's heartbeat, so that contention for one of them does not delay the others. `applied`
 * resolves when all jobs are done.
 */
export function jobsOf(commands: readonly Command[], notes?: Notes): { readonly jobs: readonly Job[]; readonly applied: Promise<Outcome[]> } {
  if (commands.length === 1) return jobOf(commands, notes)
  const groups = new Map<string, number[]>()
  // A session's commands must not begin before it is open, or finish after it has ended.
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

/** The same for a single command, which is the usual case, with less work. */
function jobOf(commands: readonly Command[], notes: Notes | undefined): ReturnType<typeof jobsOf> {
  const jobs: Job[] = []
  const applied = new Promise<Outcome[]>((resolve, reject) => {
    const { alone, shared } = namesOf(commands[0] as Command)
    jobs.push({ commands, alone, shared, notes, resolve: (outcomes) => resolve([...outcomes]), reject })
  })
  return { jobs, applied }
}

/**
 * The jobs that can begin now, as one batch. The others have to wait for a job under way, or for an earlier job that is waiting.
 * @param apart whether the picked jobs must not have to wait for each other either
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

/** How many of these jobs go in one batch: at least one, and several only if they have at most `largest` commands together. */
export function howMany(jobs: readonly Job[], largest: number): number {
  let commands = 0
  const over = jobs.findIndex((job) => {
    commands += job.commands.length
    return commands > largest
  })
  return over < 0 ? jobs.length : Math.max(over, 1)
}

/** The notes of some of the commands. */
const within = ({ insertion, rowsOf, kept }: Notes, indices: readonly number[]): Notes => ({
  insertion,
  rowsOf: (outcome, at) => rowsOf(outcome, indices[at] as number),
  kept: (at) => kept(indices[at] as number),
})

const opensOrEnds = (command: Command): boolean => command.type === 'end' || (command.type === 'beat' && command.opens === true)

/** A heartbeat waits only for earlier heartbeats of its session. */
function namesOf(command: Command): Pick<Job, 'alone' | 'shared'> {
  if ('key' in command) return { alone: [`key ${command.key}`], shared: 'session' in command ? [`session ${command.session}`] : [] }
  const beat = `beat ${command.session}`
  return { alone: opensOrEnds(command) ? [beat, `session ${command.session}`] : [beat], shared: [] }
}
