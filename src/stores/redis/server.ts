import { type Argument, isReply, openLink, type RedisClient, type RedisLink } from '../../channels/redis/client.ts'
import { LockError } from '../../protocol/index.ts'
import { openScript, type Script } from './scripts.ts'

export interface Durability {
  /** How many replicas must have a change before it counts. */
  readonly replicas?: number
  /** Whether it must be on the disk there too, and on the server's own. Needs Redis 7.2 or Valkey, with an append-only file. */
  readonly disk?: boolean
  /** For how long to wait for that, in ms. The store's other commands wait meanwhile. Default 1,000. */
  readonly within?: number
}

interface ServerOptions {
  /** How long an answer may take, in ms. */
  readonly timeout: number
  readonly durability: Durability | undefined
  /** A key of the store's, to find its node in a cluster. */
  readonly home: string
  /** The connection was lost and is there again, perhaps to another server, or one that has forgotten something. */
  reconnected(): void
  /** The connection was given up: others may be of no use either. */
  dropped(): void
}

/** How a command may be repeated if the connection broke before its answer came: not at all, or `safely`, as it then does nothing or the same. */
type Repeat = 'never' | 'safely'

/** A Redis that runs scripts, with the time that it has. */
export class RedisServer {
  readonly #target: string | RedisClient
  readonly #options: ServerOptions
  #link: Promise<RedisLink> | undefined
  #prepared: Promise<void> | undefined
  #wasUp = false
  #closed = false
  /** By how much the server's clock is ahead of our monotonic one, in ms, at least. */
  #ahead = Date.now() - performance.now()

  constructor(target: string | RedisClient, options: ServerOptions) {
    this.#target = target
    this.#options = options
  }

  /** The server's wall time in ms, as far as is known. */
  now(): number {
    return performance.now() + this.#ahead
  }

  /** Runs a script that only reads. */
  async read(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    return this.#patiently((link) => this.#eval(link, script, keys, args), 'safely')
  }

  async command(args: readonly Argument[], repeat: Repeat): Promise<unknown> {
    return this.#patiently((link) => link.send(args, this.#options.home), repeat)
  }

  /**
   * Runs a script that writes, which gets the latest time at which it may as its first argument, and answers how it went and when.
   * @param repeat whether it knows what it has done before. If it does not any more when it is repeated, what became of it is unknown
   */
  async write(script: Script, keys: readonly string[], args: readonly Argument[], repeat: Repeat): Promise<[how: string, ...unknown[]]> {
    const latest = String(Math.ceil(this.now() + this.#options.timeout))
    let lost: unknown
    const noted = (error: unknown): void => {
      lost = error
    }
    const reply = (await this.#patiently((link) => this.#durably(link, script, keys, [latest, ...args]), repeat, noted)) as [string, number]
    const [how, time] = reply
    if (how === 'late') {
      // Nobody waits for it any more, or its clock was set.
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
    this.#link = this.#prepared = undefined
  }

  async #connected(): Promise<RedisLink> {
    this.#link ??= openLink(this.#target, { up: () => this.#up(), down: () => {} }, this.#options.timeout)
    const link = await this.#link
    await link.ready()
    this.#prepared ??= this.#prepare(link)
    await this.#prepared.catch((error) => {
      this.#prepared = undefined
      throw error
    })
    return link
  }

  #up(): void {
    this.#prepared = undefined
    if (this.#wasUp) this.#options.reconnected()
    this.#wasUp = true
  }

  /** Learns the server's time, and that it does not drop records by itself. */
  async #prepare(link: RedisLink): Promise<void> {
    const sent = performance.now()
    const [time, most, policy] = (await this.#eval(link, openScript, [this.#options.home], [])) as [number, string, string]
    this.#ahead = time - sent
    if (most !== '0' && policy.startsWith('allkeys'))
      throw new LockError('store', `locks are not safe in a Redis with the maxmemory-policy ${policy}, which may drop them: set another one`)
  }

  async #eval(link: RedisLink, { text, sha }: Script, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...args]
    const { home } = this.#options
    try {
      return await link.send(['EVALSHA', sha, ...rest], home)
    } catch (error) {
      if (!/^NOSCRIPT\b/.test((error as Error).message)) throw error
      return link.send(['EVAL', text, ...rest], home)
    }
  }

  /** Runs a script, and sees to it that replicas have what it wrote. */
  async #durably(link: RedisLink, script: Script, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    const { durability, home } = this.#options
    const reply = await this.#eval(link, script, keys, args)
    if (!durability || (reply as [string])[0] !== 'done') return reply
    const { replicas = 0, disk, within = 1_000 } = durability
    const wait = disk ? ['WAITAOF', '1', String(replicas), String(within)] : ['WAIT', String(replicas), String(within)]
    const confirmed = (await link.send(wait, home)) as number | [here: number, replicas: number]
    const [here, there] = typeof confirmed === 'number' ? [1, confirmed] : confirmed
    if (!here) throw new LockError('store', `the change was made, but is not on the disk after ${within} ms`)
    if (there < replicas) throw new LockError('store', `the change was made, but only ${there} of ${replicas} replicas have it after ${within} ms`)
    return reply
  }

  /** Calls for an answer that comes in time. */
  async #patiently<T>(ask: (link: RedisLink) => Promise<T>, repeat: Repeat, lost: (error: unknown) => void = () => {}): Promise<T> {
    this.assertOpen()
    const { timeout, durability } = this.#options
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      const give = (): void => {
        // A connection that was cut unseen never answers.
        this.#drop()
        reject(new DOMException(`no answer within ${timeout} ms`, 'TimeoutError'))
      }
      timer = setTimeout(give, timeout + (durability?.within ?? 0))
    })
    const attempt = async (): Promise<T> => {
      const link = await this.#connected()
      try {
        return await ask(link)
      } catch (error) {
        // Demoted: its name may lead to another server by now.
        if (/^READONLY\b/.test((error as Error).message)) this.#drop()
        if (isReply(error) || error instanceof LockError || repeat === 'never') throw error
        lost(error)
        return ask(await this.#connected())
      }
    }
    try {
      return await Promise.race([attempt(), late])
    } finally {
      clearTimeout(timer)
    }
  }
}
