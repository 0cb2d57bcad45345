import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer, Server as TlsServer } from 'node:https'
import type { AddressInfo, Server as NetServer, Socket } from 'node:net'
import { LockError, storeError } from '../protocol/index.ts'
import type { Store } from '../store.ts'
import { Access } from './access.ts'
import { certificateOf } from './certificates.ts'
import { whenClosed } from './direct.ts'
import { openEngine } from './engine.ts'
import { getRequestListener } from './libraries.ts'
import { type HandlerOptions, limitsOf, type ReloadOptions, type ServerTls } from './options.ts'
import { checkSecretOf, findKeys } from './secret.ts'
import { checkCertificates, checkRenewal, contextOf } from './tls.ts'
import { answerUnread } from './unread.ts'
import type { VerifyReply } from './wire.ts'

export interface ServeOptions extends HandlerOptions {
  /** The port to listen at. Default: a free one. */
  readonly port?: number | undefined
  /** The address to listen at. Default 127.0.0.1. An address that other machines can reach needs `clients`. */
  readonly host?: string | undefined
  readonly tls?: ServerTls | undefined
}

export interface LockServer {
  readonly url: string
  verify(key: string, lockToken: string): Promise<VerifyReply>
  /** Like the handler's `reload`, and also sets another certificate for new connections. */
  reload(options: ReloadOptions & { readonly tls?: ServerTls }): void
  /**
   * Takes no new requests, lets pending ones finish within `grace`, and tells event streams to come back later. The store stays open.
   * @returns what could not be finished in time, in words; empty if everything was
   */
  close(): Promise<readonly string[]>
}

const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)

/**
 * Checks everything that can be wrong with a start before the database is created, so that a start that fails leaves nothing behind.
 * @param file the database's path; `undefined` if it is not a file
 * @throws LockError as `serve` does
 */
export async function checkStart(options: ServeOptions, file: string | undefined): Promise<void> {
  const { port = 0, host = '127.0.0.1', tls, clients, secret } = options
  limitsOf(options.limits)
  new Access(clients)
  assertClosed(options)
  if (file !== undefined && secret === undefined && process.env.STORELOCK_SECRET === undefined) checkSecretOf(file)
  else findKeys(secret, '', file === undefined ? 'one database' : undefined)
  checkCertificates(clients, tls)
  if (tls) contextOf(tls)
  const probe = createServer()
  await listen(probe, port, host)
  await new Promise((resolve) => probe.close(resolve))
}

function assertClosed({ host = '127.0.0.1', clients }: ServeOptions): void {
  if (!isLoopback(host) && !clients?.length)
    throw new LockError('invalid', `at ${host} anybody could take locks: give \`clients\` with tokens, or listen at 127.0.0.1`)
}

async function listen(server: NetServer, port: number, host: string): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, host, () => {
        server.off('error', reject)
        resolve()
      })
    })
  } catch (error) {
    throw storeError(error, `cannot listen at ${host}:${port}`)
  }
}

/**
 * Serves a store at a port.
 * @throws LockError `invalid` if an option is wrong or would let any client in, `store` if it cannot listen at the port
 */
export async function serve(store: Store, options: ServeOptions = {}): Promise<LockServer> {
  const { port = 0, host = '127.0.0.1', tls, grace = 10_000 } = options
  const limits = limitsOf(options.limits)
  assertClosed(options)
  let { clients } = options
  checkCertificates(clients, tls)
  const context = tls && contextOf(tls)
  const handler = await openEngine(store, options)
  const framework = getRequestListener(
    (request, { incoming, outgoing }) =>
      handler.fetch(request, {
        address: incoming.socket.remoteAddress,
        certificate: certificateOf(incoming.socket),
        ended: (listener) => whenClosed(outgoing, listener),
        cut: (listener) => whenClosed(outgoing, () => outgoing.writableFinished || listener()),
      }),
    {
      overrideGlobalObjects: false,
    },
  )
  const answer = handler.listener(framework)
  const listener: typeof answer = (incoming, outgoing) => {
    // An HTTP/1.0 request need not have a `Host`, and the probes of some proxies do not.
    incoming.headers.host ??= addressOf(incoming.socket)
    if (sockets.underWay(incoming.socket) < limits.pipelined) return answer(incoming, outgoing)
    // Answer without reading the request: there may be hundreds in one packet.
    const { status, reply } = handler.crowded()
    outgoing.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(reply))
  }
  const settings = {
    maxHeaderSize: limits.headers,
    requestTimeout: limits.requestTimeout,
    headersTimeout: limits.requestTimeout,
    connectionsCheckingInterval: 1_000,
  }
  const server: Server = context ? createTlsServer({ ...settings, ...context }, listener) : createServer(settings, listener)
  server.maxConnections = limits.connections
  answerUnread(server, limits, handler.limited)
  server.keepAliveTimeout = 65_000
  const sockets = trackSockets(server, limits.perAddress, handler.dropped)
  try {
    await listen(server, port, host)
  } catch (error) {
    await handler.close()
    throw error
  }
  const address = server.address() as AddressInfo
  const name = host.includes(':') ? `[${host}]` : host
  return {
    url: `${tls ? 'https' : 'http'}://${name}:${address.port}`,
    verify: handler.verify,
    reload({ tls: renewed, ...options }) {
      // Check everything first: if something is invalid, nothing changes.
      if (renewed) checkRenewal(tls, renewed)
      const context = renewed && contextOf(renewed)
      checkCertificates(options.clients ?? clients, renewed ?? tls)
      handler.reload(options)
      clients = options.clients ?? clients
      if (context && server instanceof TlsServer) server.setSecureContext(context)
    },
    async close() {
      const stopped = new Promise((resolve) => server.close(resolve))
      const unread: string[] = []
      const cut = setTimeout(() => {
        const count = sockets.cut()
        if (count) unread.push(`connections whose answers had not been sent: ${count}`)
      }, grace)
      sockets.closeIdle()
      const gaveUp = await handler.close()
      await stopped
      clearTimeout(cut)
      return gaveUp.length ? gaveUp : unread
    },
  }
}

/** Tracks which connections have a pending request: Node counts a connection that was never used as busy. */
function trackSockets(
  server: Server,
  perAddress: number,
  dropped: () => void,
): { underWay(socket: Socket): number; closeIdle(): void; cut(): number } {
  const open = new Set<Socket>()
  /** TLS connections whose handshake is not done, by the other end's address. */
  const raw = new Map<string, Socket>()
  const busy = new Map<Socket, number>()
  const perHost = new Map<string, number>()
  const isTls = server instanceof TlsServer
  let closing = false
  server.on('drop', dropped)
  server.on('connection', (socket: Socket) => {
    const { remoteAddress = '' } = socket
    const count = (perHost.get(remoteAddress) ?? 0) + 1
    perHost.set(remoteAddress, count)
    socket.on('close', () => {
      const left = (perHost.get(remoteAddress) ?? 1) - 1
      if (left) perHost.set(remoteAddress, left)
      else perHost.delete(remoteAddress)
    })
    if (count > perAddress) {
      dropped()
      socket.destroy()
    } else if (isTls) {
      const end = endOf(socket)
      raw.set(end, socket)
      socket.on('close', () => raw.delete(end))
      if (closing) socket.destroy()
    }
  })
  server.on(isTls ? 'secureConnection' : 'connection', (socket: Socket) => {
    raw.delete(endOf(socket))
    open.add(socket)
    socket.on('close', () => open.delete(socket))
    if (closing) socket.destroy()
  })
  server.on('request', ({ socket }, response) => {
    busy.set(socket, (busy.get(socket) ?? 0) + 1)
    response.on('close', () => {
      const left = (busy.get(socket) ?? 1) - 1
      if (left) busy.set(socket, left)
      else busy.delete(socket)
      if (closing) socket.destroySoon()
    })
  })
  return {
    underWay: (socket) => busy.get(socket) ?? 0,
    closeIdle() {
      closing = true
      for (const socket of raw.values()) socket.destroy()
      for (const socket of open) if (!busy.has(socket)) socket.destroy()
    },
    cut() {
      for (const socket of open) socket.destroy()
      return open.size
    },
  }
}

const addressOf = ({ localAddress = '', localPort }: Socket): string =>
  `${localAddress.includes(':') ? `[${localAddress}]` : localAddress}:${localPort}`

const endOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`
