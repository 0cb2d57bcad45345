import type { LockEvent } from '../locks/events.ts'
import type { HeldInfo, Locks } from '../locks/types.ts'
import { nameOf } from './changes.ts'
import { confirm } from './dialog.ts'
import { Looks } from './looks.ts'
import { makePanel, type Panel } from './panel.ts'
import type { Row } from './rows.ts'
import { styles } from './styles.ts'
import { ofChange, ofEvent } from './told.ts'

/** The methods of locks that the inspector uses. Without `acquire`, `revoke` or `sweep` it has no button to ask, revoke or sweep. */
export interface InspectedLocks extends Pick<Locks, 'query'> {
  readonly session?: string | undefined
  acquire?: Locks['acquire'] | undefined
  revoke?: Locks['revoke'] | undefined
  sweep?: Locks['sweep'] | undefined
}

/** How long the inspector waits for a lock that it asks for, in ms. */
const patience = 30_000
/** How long after an event the inspector looks, in ms: more events may follow at once. */
const afterEvent = 20

/** Outside a page there is no HTMLElement. */
const Base = (globalThis.HTMLElement ?? class {}) as typeof HTMLElement

/** A panel that shows locks at work, `<storelock-inspector>`. For development: it shows and does everything that its locks may see and do. */
export class StorelockInspector extends Base {
  #locks: InspectedLocks | undefined
  #looks: Looks | undefined
  #panel: Panel | undefined
  #interval = 500
  #paused = false
  #failing = false
  /** Sessions whose events {@link observe} reports, so that changes between looks need not be listed for them. */
  readonly #observed = new Set<string>()
  /** Aborted when the element is removed: cancels its request for a lock and answers an open question with no. */
  #gone = new AbortController()

  /** The locks that the panel shows. */
  get locks(): InspectedLocks | undefined {
    return this.#locks
  }

  set locks(locks: InspectedLocks | undefined) {
    this.#looks?.run(false)
    this.#locks = locks
    this.#looks = undefined
    this.#panel = undefined
    this.#start()
  }

  /** How long after a look at the locks the next one follows, in ms. Default 500. A hidden page does not look. */
  get interval(): number {
    return this.#interval
  }

  set interval(ms: number) {
    if (!(ms >= 50)) throw new RangeError(`interval is a number of milliseconds from 50, not ${String(ms)}`)
    this.#interval = ms
    if (this.#looks) this.#looks.interval = ms
  }

  /** Pass it to `createLocks` as `observe`: then the list of events has everything these locks do, not only the differences between two looks. */
  readonly observe = (event: LockEvent): void => {
    if (event.type !== 'evicted' && (event.type !== 'granted' || event.own)) this.#observed.add(event.session)
    const told = ofEvent(event)
    if (!told) return
    this.#panel?.tell([told])
    this.#looks?.soon(afterEvent)
  }

  connectedCallback(): void {
    // A property that was set before the element was defined hides the accessor of the class.
    for (const name of ['interval', 'locks'] as const) {
      const own = Object.getOwnPropertyDescriptor(this, name)
      if (!own) continue
      Reflect.deleteProperty(this, name)
      this[name] = own.value
    }
    document.addEventListener('visibilitychange', this.#follow)
    this.#start()
  }

  disconnectedCallback(): void {
    document.removeEventListener('visibilitychange', this.#follow)
    this.#gone.abort()
    this.#gone = new AbortController()
    this.#follow()
  }

  readonly #follow = (): void => this.#looks?.run(this.isConnected && !this.#paused && !document.hidden)

  #start(): void {
    const locks = this.#locks
    if (!this.isConnected) return
    const root = this.shadowRoot ?? this.attachShadow({ mode: 'open' })
    if (!root.adoptedStyleSheets.length) {
      const sheet = new CSSStyleSheet()
      sheet.replaceSync(styles)
      root.adoptedStyleSheets = [sheet]
    }
    const panel =
      this.#panel ??
      makePanel({
        ...(locks?.acquire && { ask: (row: Row) => this.#ask(row) }),
        ...(locks?.revoke && { revoke: (holder: HeldInfo) => this.#revoke(holder) }),
        ...(locks?.sweep && { sweep: () => this.#sweep() }),
        isOwn: (session) => session === locks?.session,
        pause: (paused) => {
          this.#paused = paused
          this.#follow()
        },
      })
    if (!this.#panel) root.replaceChildren(panel.node)
    this.#panel = panel
    if (locks) this.#looks ??= this.#look(locks, panel)
    this.#follow()
  }

  #look(locks: InspectedLocks, panel: Panel): Looks {
    const looks = new Looks(
      locks,
      (sight) => {
        panel.tell(sight.changes.filter(({ session = '' }) => !this.#observed.has(session)).map(ofChange))
        panel.show(sight)
        if (this.#failing) panel.say('')
        this.#failing = false
      },
      (error) => {
        this.#failing = true
        panel.say((error as Error).message, true)
      },
    )
    looks.interval = this.#interval
    return looks
  }

  /** Carries out an action and shows how it went. */
  async #act(doing: string, act: (signal: AbortSignal) => Promise<string>): Promise<void> {
    const [panel, { signal }] = [this.#panel, this.#gone]
    panel?.say(doing)
    try {
      panel?.say(await act(signal))
    } catch (error) {
      panel?.say((error as Error).message, true)
    }
    this.#failing = false
    this.#looks?.soon(0)
  }

  async #ask({ name, holders }: Row): Promise<void> {
    const title = `Ask the holders of “${name}” to release it?`
    const why = 'They decide. The inspector waits in the queue for up to 30 seconds, and releases the lock at once.'
    const ask = await this.#confirm({ title, why, yes: 'Ask', field: ['What to tell them', 'please'] })
    if (ask === undefined) return
    const limit = holders[0]?.limit
    await this.#act(`Asked for “${name}”…`, async (signal) => {
      const lock = await this.#locks?.acquire?.(name, { ask, signal, timeout: patience, ...(limit !== undefined && { limit }) })
      await lock?.release()
      return `“${name}” was released.`
    })
  }

  async #revoke(holder: HeldInfo): Promise<void> {
    const { name, session } = holder
    const title = `Take “${name}” from ${nameOf(holder)}?`
    const why = 'It loses the lock at once. What it is doing goes on until it notices, or until a fenced write is refused.'
    if ((await this.#confirm({ title, why, yes: 'Revoke' })) === undefined) return
    await this.#act(`Revoking “${name}”…`, async () => {
      await this.#locks?.revoke?.(name, session)
      return `“${name}” was taken from ${nameOf(holder)}.`
    })
  }

  async #sweep(): Promise<void> {
    const title = 'Drop the records of all locks that nobody uses?'
    const why = 'Their tokens are still never repeated, but each of these locks counts as dirty at its next grant.'
    if ((await this.#confirm({ title, why, yes: 'Sweep' })) === undefined) return
    await this.#act('Sweeping…', async () => {
      const count = (await this.#locks?.sweep?.()) ?? 0
      return `${count} ${count === 1 ? 'record was' : 'records were'} dropped.`
    })
  }

  #confirm(question: Parameters<typeof confirm>[1]): Promise<string | undefined> {
    return confirm(this.shadowRoot as ShadowRoot, question, this.#gone.signal)
  }
}
