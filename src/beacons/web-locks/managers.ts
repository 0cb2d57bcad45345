import type { Channel } from '../../store.ts'

/** How long the contexts of another lock manager have to say that they live, in ms. */
const patience = 500
/** A context that finds itself so much later than it meant to be was not there to hear an answer, and asks once more. */
const lateness = 1.5

/** The topic of what managers say to each other. */
const topic = 'beacons'

/** A beacon's address, taken apart. */
export interface Place {
  /** The native lock's name. */
  readonly lock: string
  /** The name of the manager that it was asked of. */
  readonly manager: string
  /** Its owner may have an older manager than whoever reads this. */
  readonly doubtful: boolean
}

/** What stands around a beacon. */
export interface Around {
  readonly channel?: Channel | undefined
  /** In ms. */
  readonly after?: ((ms: number, run: () => void) => unknown) | undefined
  readonly monotonic?: (() => number) | undefined
}

/**
 * Tells apart the lock managers of those who share a database. It is one, as a rule. But where an origin's storage is cleared, Chromium
 * gives pages that come later another `navigator.locks`, and leaves them on one database with those from before: to each of these, a lock
 * of the other's is free. So the names of beacons say in which manager they are, and that a lock is free proves something in the same one only.
 *
 * A manager is called by the session that raised the first beacon in it, and whoever sees a beacon takes its manager's name over.
 * Where nobody sees any of a manager, all that were there are gone, or it is another one: then they are asked, and one that lives answers.
 */
export class Managers {
  readonly #prefix: string
  readonly #locks: LockManager
  readonly #around: Around
  /** The names that this context's own one has had. */
  readonly #ours = new Set<string>()
  /** The names of others that are known to live. */
  readonly #others = new Set<string>()
  /** Whether nobody answers there, of those that were asked. */
  readonly #asked = new Map<string, Promise<boolean>>()
  /** End the waiting for answers. */
  readonly #waiting = new Map<string, () => void>()
  #naming: Promise<string> | undefined
  #listeners = 0
  #stop: (() => void) | undefined
  #doubtful = false
  #part = (): void => {}
  /** Resolves when it turns out that others who live have another manager. */
  readonly parted = new Promise<void>((resolve) => {
    this.#part = resolve
  })

  constructor(name: string, locks: LockManager, around: Around) {
    this.#prefix = `${name} `
    this.#locks = locks
    this.#around = around
  }

  /** The name of the lock for a session's beacon. */
  async lockFor(session: string): Promise<string> {
    this.#naming ??= this.#seen().then(([name = session]) => name)
    try {
      const manager = await this.#naming
      this.#ours.add(manager)
      return `${this.#prefix}${manager} ${session}`
    } catch (error) {
      this.#naming = undefined
      throw error
    }
  }

  /** Where others find that beacon. Those of an older version never ask for the lock of a doubtful one. */
  addressOf(lock: string): string {
    return this.#doubtful ? `?${lock}` : lock
  }

  /** The place that an address of the same name tells. */
  placeOf(address: string): Place | undefined {
    const doubtful = address[0] === '?'
    const lock = doubtful ? address.slice(1) : address
    const [manager, session, ...more] = lock.startsWith(this.#prefix) ? lock.slice(this.#prefix.length).split(' ') : []
    return manager === undefined || session === undefined || more.length ? undefined : { lock, manager, doubtful }
  }

  /** Whether a manager is known to be this context's own: then a beacon is out if its lock is free. */
  isOurs({ manager }: Place): boolean {
    return this.#ours.has(manager)
  }

  /** As {@link isOurs}, once that is known; or whether all that were in that manager are gone. If neither is so, nothing is proved. */
  async judge({ manager, doubtful }: Place): Promise<'ours' | 'gone' | undefined> {
    if (this.#ours.has(manager) || (await this.#seen()).has(manager)) return 'ours'
    if (this.#others.has(manager)) return undefined
    const gone = this.#ask(manager)
    // Silence proves nothing of a context that may be hung, where either is known to be older than the database.
    return !doubtful && !this.#doubtful && (await gone) ? 'gone' : undefined
  }

  /**
   * This context may have an older manager than others.
   * @param aloud tells them that it lives, whatever seemed to prove that it does not
   */
  doubt(aloud: boolean): void {
    this.#doubtful = true
    if (aloud) this.#naming?.then((lives) => this.#say({ lives })).catch(() => {})
  }

  /** Hears what others ask, until the returned function is called. */
  listen(): () => void {
    this.#listeners += 1
    this.#stop ??= this.#around.channel?.subscribe(topic, ({ asks, lives }) => {
      this.#heard(String(asks ?? ''), String(lives ?? '')).catch(() => {})
    })
    let listening = true
    return () => {
      if (listening) this.#listeners -= 1
      listening = false
      if (this.#listeners) return
      this.#stop?.()
      this.#stop = undefined
    }
  }

  async #heard(asks: string, lives: string): Promise<void> {
    const seen = await this.#seen()
    if (seen.has(asks)) this.#say({ lives: asks })
    if (!lives || this.#ours.has(lives) || this.#others.has(lives)) return
    this.#others.add(lives)
    this.#waiting.get(lives)?.()
    // So that they know it too.
    this.doubt(true)
    this.#part()
  }

  #say(message: { asks: string } | { lives: string }): void {
    this.#around.channel?.publish(topic, message)
  }

  /** Whether nobody lives in another manager any more, as far as silence can tell. */
  async #ask(manager: string): Promise<boolean> {
    const asked = this.#asked.get(manager) ?? this.#isSilent(manager)
    this.#asked.set(manager, asked)
    const gone = await asked
    if (!gone) this.#asked.delete(manager)
    return gone
  }

  async #isSilent(manager: string): Promise<boolean> {
    const { after = later, monotonic = () => performance.now() } = this.#around
    const listening = this.#stop
    // Who does not listen hears no answer.
    if (!listening) return false
    const answered = new Promise<void>((resolve) => this.#waiting.set(manager, resolve))
    const silence = (): Promise<void> => {
      this.#say({ asks: manager })
      return Promise.race([answered, new Promise<void>((resolve) => void after(patience, resolve))])
    }
    const sent = monotonic()
    await silence()
    if (monotonic() - sent > lateness * patience) await silence()
    return !this.#others.has(manager) && this.#stop === listening
  }

  /** The managers of all beacons that this context's shows; it is that one, whatever they are called. */
  async #seen(): Promise<Set<string>> {
    const { held = [] } = await this.#locks.query()
    const seen = new Set<string>()
    for (const { name = '' } of held) {
      const place = this.placeOf(name)
      if (!place) continue
      seen.add(place.manager)
      this.#ours.add(place.manager)
    }
    return seen
  }
}

const later = (ms: number, run: () => void): unknown => setTimeout(run, ms)
