/** An argument of a command. */
export type Argument = string | Uint8Array

/** The parts of a `redis` client that the store uses. The client is from `createClient` or, with another `sendCommand`, from `createCluster`. */
export interface NodeRedis {
  // biome-ignore lint/suspicious/noExplicitAny: a client and a cluster differ in their options, and in the arguments of this
  sendCommand(...args: any[]): Promise<unknown>
  // biome-ignore lint/suspicious/noExplicitAny: as above
  duplicate(...options: any[]): unknown
  connect(): Promise<unknown>
  destroy(): unknown
}

/** The parts of an `ioredis` client that the store uses. The client is a `Redis` or a `Cluster`. */
export interface IoRedis {
  // biome-ignore lint/suspicious/noExplicitAny: it has several forms
  call(command: string, ...args: any[]): Promise<unknown>
  // biome-ignore lint/suspicious/noExplicitAny: a client and a cluster differ in their options
  duplicate(...options: any[]): unknown
  connect(): Promise<unknown>
  disconnect(): unknown
}

/** Your client of Redis or Valkey. The store only copies its options, for connections of its own. */
export type RedisClient = NodeRedis | IoRedis

/** What the clients and clusters of both libraries have in common, beside the ways to send. */
interface Client {
  on(event: string, listener: (...args: never[]) => void): unknown
  connect(): Promise<unknown>
  subscribe(channel: string, listener?: (message: string) => void): Promise<unknown>
  unsubscribe(channel: string): Promise<unknown>
}

/** One connection, or one to each node of a cluster, that is opened again when it is lost. */
export interface RedisLink {
  /** Resolves when the link is connected. Rejects with the error if connecting fails; later calls try again. */
  ready(): Promise<void>
  /** Sends a command to the node that has `key`. The link never sends a command twice by itself. */
  send(args: readonly Argument[], key: string): Promise<unknown>
  subscribe(channel: string): Promise<unknown>
  unsubscribe(channel: string): Promise<unknown>
  close(): void
}

export interface Events {
  /** Called when the link is connected, for the first time or again. */
  up(): void
  /** Called when connecting has failed, or the connection was lost. */
  down(error: Error): void
  message?(channel: string, message: string): void
}

/** Which library a client is from, and whether it is a cluster. */
const isIoRedis = (client: RedisClient): client is IoRedis => typeof (client as Partial<IoRedis>).call === 'function'
const isCluster = (client: object): boolean => 'masters' in client || (client as { isCluster?: unknown }).isCluster === true

/** Whether a value is the URL of a server, or a client. */
export const isTarget = (target: unknown): target is string | RedisClient =>
  typeof target === 'string'
    ? /^rediss?:\/\//.test(target) && URL.canParse(target)
    : typeof (target as Partial<RedisClient> | undefined)?.duplicate === 'function'

/** Whether `WAIT` may go to another node than the command before it. */
export const sendsAnywhere = (target: string | RedisClient): boolean => typeof target !== 'string' && isIoRedis(target) && isCluster(target)

/** The server's address, without its credentials. */
export function addressOf(target: string | RedisClient): string {
  if (typeof target === 'string') return new URL(target).host || target.replace(/^.*@/, '')
  const { options = {}, startupNodes } = target as { options?: Options; startupNodes?: unknown }
  if (startupNodes || isCluster(target)) return 'a cluster'
  const { url, socket = {}, path, host, port } = options
  const file = socket.path ?? path
  return url ? addressOf(url) : (file ?? `${socket.host ?? host ?? '127.0.0.1'}:${socket.port ?? port ?? 6379}`)
}

interface Options {
  readonly url?: string
  readonly socket?: { readonly path?: string; readonly host?: string; readonly port?: number }
  readonly path?: string
  readonly host?: string
  readonly port?: number
}

/** Whether an error is the server's answer, such as `READONLY …`, and not a failure to get an answer. */
export const isReply = (error: unknown): boolean => /^-?[A-Z][A-Z\d]+\b/.test((error as Error | undefined)?.message ?? '')

/**
 * @param target a URL, or a client, whose options are used
 * @param patience how long connecting may take, in ms
 */
export async function openLink(target: string | RedisClient, events: Events, patience: number): Promise<RedisLink> {
  const model = typeof target === 'string' ? await clientOf(target, patience) : target
  return isIoRedis(model) ? ioredisLink(model, events) : nodeRedisLink(model, events)
}

/** A client for a URL, from the package that is installed. */
async function clientOf(url: string, patience: number): Promise<RedisClient> {
  // The import is in a `try`, because bundlers then do not insist that the package is installed.
  try {
    const { createClient } = await import('redis')
    return createClient({ url, socket: { connectTimeout: patience } })
  } catch (error) {
    if (!isMissing(error)) throw error
  }
  try {
    const { Redis } = await import('ioredis')
    return new Redis(url, { lazyConnect: true, connectTimeout: patience })
  } catch (error) {
    if (!isMissing(error)) throw error
    throw new Error('the URL of a Redis needs a package that connects to it: npm install redis', { cause: error })
  }
}

const isMissing = (error: unknown): boolean => (error as { code?: unknown }).code === 'ERR_MODULE_NOT_FOUND'

function nodeRedisLink(model: NodeRedis, events: Events): RedisLink {
  const cluster = isCluster(model)
  // A command that waits for a connection must not be sent after its caller has given up. The store has a time limit of its own for each command, with one
  // timer for all of them; those of the client cost a signal and a timer each.
  const own = { disableOfflineQueue: events.message === undefined, commandOptions: { timeout: undefined } }
  const client = model.duplicate(cluster ? { defaults: own } : own) as NodeRedis & Client
  const link = watch(client, events, cluster ? 'connect' : 'ready', () => client.destroy())
  const hear = (message: string, channel: string): void => events.message?.(channel, message)
  return {
    ...link,
    send: (args, key) => (cluster ? client.sendCommand(key, false, args) : client.sendCommand(args)),
    subscribe: (channel) => client.subscribe(channel, hear as (message: string) => void),
    unsubscribe: (channel) => client.unsubscribe(channel),
  }
}

function ioredisLink(model: IoRedis, events: Events): RedisLink {
  const own = {
    maxRetriesPerRequest: events.message ? null : 0,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: true,
    keyPrefix: '',
    stringNumbers: false,
  }
  const offline = { lazyConnect: true, enableOfflineQueue: events.message !== undefined }
  const client = (isCluster(model) ? model.duplicate([], { ...offline, redisOptions: own }) : model.duplicate({ ...own, ...offline })) as IoRedis &
    Client
  const link = watch(client, events, 'ready', () => client.disconnect())
  client.on('message', (channel: string, message: string) => events.message?.(channel, message))
  return {
    ...link,
    send: ([command, ...args]) =>
      client.call(command as string, ...args).catch((error: Error) => {
        // The message of that error is about an option that the user has not set.
        throw error.name === 'MaxRetriesPerRequestError' ? new Error('the connection was lost', { cause: error }) : withoutCommand(error)
      }),
    subscribe: (channel) => client.subscribe(channel),
    unsubscribe: (channel) => client.unsubscribe(channel),
  }
}

/** Removes the command that an error of ioredis carries, because it contains the password if that was wrong. */
function withoutCommand(error: Error): Error {
  Reflect.deleteProperty(error, 'command')
  return error
}

/**
 * Connects, and follows the state of the connection.
 * @param connected the client's event for a new connection
 */
function watch(client: Client, events: Events, connected: string, disconnect: () => void): Pick<RedisLink, 'ready' | 'close'> {
  let isUp = false
  let isClosed = false
  let over = false
  const waiting = new Set<{ resolve(): void; reject(error: Error): void }>()
  const connect = (): void => {
    over = false
    client.connect().catch((error: Error) => {
      // The client does not try again by itself.
      over = true
      down(error)
    })
  }
  const up = (): void => {
    isUp = true
    for (const { resolve } of waiting) resolve()
    waiting.clear()
    events.up()
  }
  const down = (error: Error): void => {
    for (const { reject } of waiting) reject(withoutCommand(error))
    waiting.clear()
    cut(error)
  }
  const cut = (error = new Error('the connection was closed')): void => {
    isUp = false
    if (!isClosed) events.down(error)
  }
  client.on(connected, up)
  // These events are about a node of a cluster that is new or back.
  for (const event of ['node-ready', '+node']) client.on(event, () => isUp && events.up())
  client.on('error', down)
  // The client connects again at once, if that is possible.
  for (const event of ['close', 'end']) client.on(event, () => cut())
  connect()
  return {
    ready() {
      if (isUp) return Promise.resolve()
      if (over && !isClosed) connect()
      return new Promise((resolve, reject) => waiting.add({ resolve, reject }))
    },
    close() {
      isClosed = true
      disconnect()
    },
  }
}
