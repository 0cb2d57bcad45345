import { DatabaseSync, type StatementSync } from 'node:sqlite'

interface Options {
  readonly readonly?: boolean
  /** How long to wait for a busy database, in ms. */
  readonly timeout?: number
}

/** node:sqlite's own class, with the conveniences of better-sqlite3 that the tests use. */
export default class Database extends DatabaseSync {
  #bigints = false

  constructor(path: string, { readonly = false, timeout = 5_000 }: Options = {}) {
    super(path, { readOnly: readonly, timeout })
  }

  defaultSafeIntegers(): this {
    this.#bigints = true
    return this
  }

  override exec(sql: string): this {
    super.exec(sql)
    return this
  }

  override close(): void {
    if (this.isOpen) super.close()
  }

  pragma(text: string, { simple = false } = {}): unknown {
    const rows = this.prepare(`PRAGMA ${text}`).all()
    return simple ? Object.values(rows[0] ?? {})[0] : rows
  }

  override prepare(sql: string): StatementSync & { pluck(): Plucked } {
    const statement = super.prepare(sql)
    statement.setReadBigInts(this.#bigints)
    const first = (row: object | undefined): unknown => Object.values(row ?? {})[0]
    const pluck = (): Plucked => ({ get: (...values) => first(statement.get(...values)), all: (...values) => statement.all(...values).map(first) })
    return Object.assign(statement, { pluck })
  }

  /** Makes a function that runs `body` in a transaction. */
  transaction<Args extends unknown[]>(body: (...args: Args) => unknown) {
    const begun =
      (begin: string) =>
      (...args: Args): unknown => {
        this.exec(begin)
        try {
          const result = body(...args)
          this.exec('COMMIT')
          return result
        } catch (error) {
          if (this.isTransaction) this.exec('ROLLBACK')
          throw error
        }
      }
    const kinds = { deferred: begun('BEGIN'), immediate: begun('BEGIN IMMEDIATE'), exclusive: begun('BEGIN EXCLUSIVE') }
    return Object.assign(begun('BEGIN'), kinds)
  }
}

type Values = Parameters<StatementSync['get']>

interface Plucked {
  get(...values: Values): unknown
  all(...values: Values): unknown[]
}
