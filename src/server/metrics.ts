import { Counter, Gauge, Histogram, Registry } from './libraries.ts'
import { processFigures } from './process-figures.ts'

/**
 * Why a request was refused: the host name or address of the server, the page's origin, the credential, its rights, the owner of the session, or the
 * lockToken.
 */
export type RefusalKind = 'host' | 'origin' | 'credential' | 'right' | 'session' | 'lockToken'

/** The server's metrics, for Prometheus. */
export interface Metrics {
  readonly registry: Registry
  readonly storeErrors: Counter<'code'>
  /** All metrics, with those of the process, in the format of Prometheus. */
  text(): Promise<string>
  readonly commands: Counter<'type' | 'outcome'>
  readonly refusals: Counter<'kind'>
  readonly dropped: Counter
  readonly limited: Counter<'limit'>
  readonly requests: Histogram<'route' | 'status'>
}

/** @param gauges values that are read when the metrics are collected */
export function makeMetrics(gauges: {
  streams(): number
  waiters(): number
  observed(): number
  holders(): number
  sessions(): number
  pending(): number
  logEntries(): Promise<number>
  databaseBytes(part: 'main' | 'wal'): number
}): Metrics {
  const registry = new Registry()
  const registers = [registry]
  const gauge = (name: string, help: string, read: () => number | Promise<number>): void => {
    new Gauge({
      name,
      help,
      registers,
      async collect() {
        this.set(await read())
      },
    })
  }
  gauge('storelock_streams', 'Open event streams', gauges.streams)
  gauge('storelock_requests_pending', 'Unanswered requests', gauges.pending)
  gauge('storelock_waiters', 'Clients’ places in queues', gauges.waiters)
  gauge('storelock_holders', 'Locks that clients hold', gauges.holders)
  gauge('storelock_sessions', 'Open sessions of clients', gauges.sessions)
  gauge('storelock_observed_keys', 'Keys whose holders are observed', gauges.observed)
  gauge('storelock_log_entries', 'Entries of the history', gauges.logEntries)
  new Gauge({
    name: 'storelock_database_bytes',
    help: 'Length of the database file and its -wal; 0 where there is none',
    labelNames: ['part'],
    registers,
    collect() {
      for (const part of ['main', 'wal'] as const) this.set({ part }, gauges.databaseBytes(part))
    },
  })
  const ofProcess = processFigures()
  return {
    registry,
    text: () => Registry.merge([registry, ofProcess]).metrics(),
    storeErrors: new Counter({
      name: 'storelock_store_errors_total',
      help: 'Failures of the store, by error code',
      labelNames: ['code'],
      registers,
    }),
    commands: new Counter({
      name: 'storelock_commands_total',
      help: 'Commands that reached the store, by outcome',
      labelNames: ['type', 'outcome'],
      registers,
    }),
    refusals: new Counter({
      name: 'storelock_refusals_total',
      help: 'Requests that their sender had no right to make, by kind',
      labelNames: ['kind'],
      registers,
    }),
    limited: new Counter({
      name: 'storelock_limited_total',
      help: 'What was refused because of a limit, by limit',
      labelNames: ['limit'],
      registers,
    }),
    dropped: new Counter({ name: 'storelock_connections_dropped_total', help: 'Connections beyond a limit', registers }),
    requests: new Histogram({
      name: 'storelock_request_seconds',
      help: 'How long requests took',
      labelNames: ['route', 'status'],
      buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25, 1, 5],
      registers,
    }),
  }
}
