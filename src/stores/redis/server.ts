import { type Argument, isReply, openLink, type RedisClient, type RedisLink } from '../../channels/redis/client.ts'
import { LockError } from '../../protocol/index.ts'
import { openScript, type Script } from './scripts.ts'

export interface Durability {
  /** How many replicas must have a change before it counts. */
  readonly replicas?: number | undefined
  /** Whether the change must also be on their disks, and on the server's own. Needs Redis 7.2 or Valkey, with an append-only file. */
  readonly disk?: boolean | undefined
  /** How long to wait for that, in ms. The store's other commands wait meanwhile. Default 1,000. */
  readonly within?: number | undefined
}

interface ServerOptions {
  /** How long an answer may take, in ms. */
  readonly timeout: number
  readonly durability: Durability | undefined
  /** One of the store's keys, to find the node of the store in a cluster. */
  readonly home: string
  /** Called when a lost connection is back, perhaps to another server, or to one that has lost data. */
  reconnected(): void
  /** Called when the connection was given up: other connections to the server may be broken too. */
  dropped(): void
}

/** Whether the server only refuses for now, and has done nothing: it has just been started, or its cluster is changing. */
const isPassing = (error: unknown): boolean => /^(LOADING|CLUSTERDOWN|TRYAGAIN|MASTERDOWN)\b/.test((error as Error).message)
/** How long to wait before asking such a server again, in ms. */
const pause = 50

/** How long to wait for replicas by default, in ms. */
const longestWait = 1_000

/**
 * Whether a command may be sent again if the connection broke before its answer came: `never`, or `safely` because a second run changes nothing more.
 */
type Repeat = 'never' | 'safely'

/** A Redis server that runs scripts, and an estimate of its clock. */
export class RedisServer {
  readonly #target: string | RedisClient
  readonly #options: ServerOptions
  readonly #patience: number
  /** The calls without an answer yet, in the order of their deadlines. */
  readonly #calls = new Set<{ readonly due: number; reject(error: unknown): void }>()
  #timer: NodeJS.Timeout | undefined
  #link: Promise<RedisLink> | undefined
  #prepared: Promise<void> | undefined
  /** The link, while it is connected and prepared. */
  #ready: RedisLink | undefined
  #wasUp = false
  #closed = false
  /** An estimate of how far the server's clock is ahead of our monotonic one, in ms. */
  #ahead = Date.now() - performance.now()

  constructor(target: string | RedisClient, options: ServerOptions) {
    this.#target = target
    this.#options = options
    this.#patience = options.timeout + (options.durability ? (options.durability.within ?? longestWait) : 0)
  }

  /** The server's wall time in ms, as far as is known. */
  now(): number {
    return performance.now() + this.#ahead
  }

  /** Runs a script that only reads. */
  read(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    return this.#patiently((link) => this.#eval(link, script, keys, args), 'safely')
  }

  command(args: readonly Argument[], repeat: Repeat): Promise<unknown> {
    return this.#patiently((link) => link.send(args, this.#options.home), repeat)
  }

  /**
   * Runs a script that writes. Its first argument is the latest time at which it may do so; it returns what it did, and the time.
   * @param repeat `safely` if the script recognizes a commit that it has made before. If the repeated script finds changed rows instead, the outcome
   * is unknown and the call rejects
   */
  async write(script: Script, keys: readonly string[], args: readonly Argument[], repeat: Repeat): Promise<[how: string, ...unknown[]]> {
    const latest = String(Math.ceil(this.now() + this.#options.timeout))
    let lost: unknown
    const noted = (error: unknown): void => {
      lost = error
    }
    const reply = (await this.#patiently(
      (link) => (this.#options.durability ? this.#durably : this.#eval).call(this, link, script, keys, [latest, ...args]),
      repeat,
      noted,
    )) as [string, number]
    const [how, time] = reply
    if (how === 'late') {
      // The caller has given up, or the server's clock was changed.
      this.#ahead = time - performance.now()
      throw new LockError('store', 'the command came too late, and was not carried out')
    }
    if (how === 'changed' && lost) throw lost
    return reply
  }

  /** @throws LockError `closed` */
  assertOpen(): void {
    if (this.#closed) throw new LockError('closed', 'the store was closed')
  }

  close(): void {
    this.#closed = true
    this.#leave()
  }

  #drop(): void {
    this.#leave()
    this.#options.dropped()
  }

  #leave(): void {
    this.#link?.then(
      (link) => link.close(),
      () => {},
    )
    this.#link = this.#prepared = this.#ready = undefined
  }

  async #connected(): Promise<RedisLink> {
    this.assertOpen()
    this.#link ??= openLink(this.#target, { up: () => this.#up(), down: () => this.#down() }, this.#options.timeout)
    const opened = this.#link
    const link = await opened
    await link.ready()
    this.#prepared ??= this.#prepare(link)
    const prepared = this.#prepared
    await prepared.catch((error) => {
      if (this.#prepared === prepared) this.#prepared = undefined
      throw error
    })
    // Unless the connection was lost meanwhile.
    if (this.#link === opened && this.#prepared === prepared) this.#ready = link
    return link
  }

  #down(): void {
    this.#prepared = this.#ready = undefined
  }

  #up(): void {
    this.#down()
    if (this.#wasUp) this.#options.reconnected()
    this.#wasUp = true
  }

  /** Reads the server's clock, and checks that the server does not drop records by itself and, with `durability.disk`, can wait for a disk. */
  async #prepare(link: RedisLink): Promise<void> {
    if (this.#options.durability?.disk) await this.#prepareDisk(link)
    const sent = performance.now()
    const [time, most, policy] = (await this.#eval(link, openScript, [this.#options.home], [])) as [number, string, string]
    this.#ahead = time - sent
    if (most !== '0' && policy.startsWith('allkeys'))
      throw new LockError('store', `locks are not safe in a Redis with the maxmemory-policy ${policy}, which may drop them: set another one`)
  }

  /** Checked first, because a server that cannot wait would make each change before it says so. */
  async #prepareDisk(link: RedisLink): Promise<void> {
    const { home } = this.#options
    const [known] = (await link.send(['COMMAND', 'INFO', 'WAITAOF'], home)) as unknown[]
    if (!known) throw new LockError('store', 'durability.disk needs the command WAITAOF, which Redis 7.2 and Valkey have, and this server does not')
    if (!/\baof_enabled:1\b/.test(String(await link.send(['INFO', 'persistence'], home))))
      throw new LockError('store', 'durability.disk needs a server with an append-only file: set appendonly to yes')
  }

  #eval(link: RedisLink, { text, sha }: Script, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    const command: Argument[] = ['EVALSHA', sha, String(keys.length), ...keys, ...args]
    const { home } = this.#options
    return link.send(command, home).catch((error: Error) => {
      if (!/^NOSCRIPT\b/.test(error.message)) throw error
      command.splice(0, 2, 'EVAL', text)
      return link.send(command, home)
    })
  }

  /** Runs a script, and waits until the replicas and disks have what it wrote. */
  async #durably(link: RedisLink, script: Script, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    const { durability, home } = this.#options
    const reply = await this.#eval(link, script, keys, args)
    if (!durability || (reply as [string])[0] !== 'done') return reply
    const { replicas = 0, disk, within = longestWait } = durability
    const wait = disk ? ['WAITAOF', '1', String(replicas), String(within)] : ['WAIT', String(replicas), String(within)]
    const confirmed = (await link.send(wait, home)) as number | [here: number, replicas: number]
    const [here, there] = typeof confirmed === 'number' ? [1, confirmed] : confirmed
    if (!here) throw new LockError('store', `the change was made, but is not on the disk after ${within} ms`)
    if (there < replicas) throw new LockError('store', `the change was made, but only ${there} of ${replicas} replicas have it after ${within} ms`)
    return reply
  }

  /** Makes a call that must be answered in time. It uses plain callbacks, because awaits in several functions take longer than the server does. */
  #patiently<T>(ask: (link: RedisLink) => Promise<T>, repeat: Repeat, lost: (error: unknown) => void = () => {}): Promise<T> {
    return new Promise((resolve, reject) => {
      this.assertOpen()
      const call = { due: performance.now() + this.#patience, reject }
      this.#calls.add(call)
      this.#timer ??= this.#watch(this.#patience)
      const done = (answer: T): void => {
        this.#calls.delete(call)
        resolve(answer)
      }
      const failed = (error: unknown): void => {
        this.#calls.delete(call)
        reject(error)
      }
      const again = (error: unknown): void => {
        // The server was demoted: its name may lead to another server by now.
        if (/^READONLY\b/.test((error as Error).message)) this.#drop()
        if (isPassing(error) && this.#calls.has(call)) setTimeout(attempt, pause)
        else if (isReply(error) || error instanceof LockError || repeat === 'never' || this.#closed) failed(error)
        else {
          lost(error)
          this.#connected().then(ask).then(done, failed)
        }
      }
      const attempt = (): void => {
        if (this.#ready) ask(this.#ready).then(done, again)
        else
          this.#connected().then(
            (link) => void ask(link).then(done, again),
            (error) => (isPassing(error) ? again(error) : failed(error)),
          )
      }
      attempt()
    })
  }

  /** Rejects overdue calls. One timer is enough, since all calls have the same patience. */
  #watch(ms: number): NodeJS.Timeout {
    return setTimeout(() => {
      this.#timer = undefined
      const now = performance.now()
      const late = [...this.#calls].filter(({ due }) => due <= now)
      // A connection that was cut without notice never answers.
      if (late.length) this.#drop()
      for (const call of late) {
        this.#calls.delete(call)
        call.reject(new DOMException(`no answer within ${this.#options.timeout} ms`, 'TimeoutError'))
      }
      const [next] = this.#calls
      if (next) this.#timer = this.#watch(Math.max(1, next.due - now))
    }, ms).unref()
  }
}
