import type { Channel } from '../../store.ts'

/** How long the contexts of another lock manager have to answer that they live, in ms. */
const patience = 500
/** If a context resumes this many times later than planned, it may have missed an answer, and asks once more. */
const lateness = 1.5

/** The topic on which contexts ask about managers. */
const topic = 'beacons'

/** A beacon's address, taken apart. */
export interface Place {
  /** The native lock's name. */
  readonly lock: string
  /** The name of the lock manager that granted it. */
  readonly manager: string
  /** Whether its owner may have an older manager than the context that reads this. */
  readonly doubtful: boolean
}

/** What {@link Managers} needs from its context. */
export interface Around {
  readonly channel?: Channel | undefined
  /** In ms. */
  readonly after?: ((ms: number, run: () => void) => unknown) | undefined
  readonly monotonic?: (() => number) | undefined
}

/**
 * Distinguishes the lock managers of contexts that share a database. Usually there is one. But when an origin's storage is cleared, Chromium gives
 * later pages another `navigator.locks` while they share the database with older pages: to each side, the other's locks look free. So a beacon's name
 * includes its manager, and a free lock proves something only within the same manager.
 *
 * A manager is named after the session that raised the first beacon in it, and every context that sees a beacon adopts its manager's name. If a
 * context sees no beacon of a manager, either all contexts of that manager are gone, or it is not the context's own manager: then it asks them, and a
 * live one answers.
 */
export class Managers {
  readonly #prefix: string
  readonly #locks: LockManager
  readonly #around: Around
  /** The names that this context's own manager has had. */
  readonly #ours = new Set<string>()
  /** The names of other managers that are known to live. */
  readonly #others = new Set<string>()
  /** For each manager that was asked about: whether no context answered. */
  readonly #asked = new Map<string, Promise<boolean>>()
  /** How to end each wait for an answer. */
  readonly #waiting = new Map<string, () => void>()
  #naming: Promise<string> | undefined
  #listeners = 0
  #stop: (() => void) | undefined
  #doubtful = false
  #part = (): void => {}
  /** Resolves when it turns out that live contexts have another manager. */
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

  /** The address at which other contexts find that beacon. Older versions never request the lock of a doubtful address. */
  addressOf(lock: string): string {
    return this.#doubtful ? `?${lock}` : lock
  }

  /** Parses the address of a beacon of this name. */
  placeOf(address: string): Place | undefined {
    const doubtful = address[0] === '?'
    const lock = doubtful ? address.slice(1) : address
    const [manager, session, ...more] = lock.startsWith(this.#prefix) ? lock.slice(this.#prefix.length).split(' ') : []
    return manager === undefined || session === undefined || more.length ? undefined : { lock, manager, doubtful }
  }

  /** Whether a manager is known to be this context's own: then a free lock means that the beacon is out. */
  isOurs({ manager }: Place): boolean {
    return this.#ours.has(manager)
  }

  /**
   * `ours` if the manager is this context's own, `gone` if every context of that manager is gone. `undefined` if neither is known: then nothing is
   * proved.
   */
  async judge({ manager, doubtful }: Place): Promise<'ours' | 'gone' | undefined> {
    if (this.#ours.has(manager) || (await this.#seen()).has(manager)) return 'ours'
    if (this.#others.has(manager)) return undefined
    const gone = this.#ask(manager)
    // If either manager may be older than the database, silence proves nothing: the context may be hung.
    return !doubtful && !this.#doubtful && (await gone) ? 'gone' : undefined
  }

  /**
   * Notes that this context may have an older manager than others.
   * @param aloud whether to tell the others that this context lives, in case something seemed to prove otherwise
   */
  doubt(aloud: boolean): void {
    this.#doubtful = true
    if (aloud) this.#naming?.then((lives) => this.#say({ lives })).catch(() => {})
  }

  /** Answers the questions of other contexts, until the returned function is called. */
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
    // The other side has to know it too.
    this.doubt(true)
    this.#part()
  }

  #say(message: { asks: string } | { lives: string }): void {
    this.#around.channel?.publish(topic, message)
  }

  /** Whether no context of another manager is alive, as far as silence can show. */
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
    // Without a subscription, we would hear no answer.
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

  /** The names of managers in all beacons that this context's manager shows: all of them are names of that manager. */
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
