/** A database as the lock server uses it for its own tables, beside the store's. */
export interface Beside {
  /** The schema of the tables, as an identifier in SQL. */
  readonly schema: string
  /** Rejects with an error that names the database. */
  // biome-ignore lint/suspicious/noExplicitAny: a row has whatever the statement asks for
  query(text: string, values?: readonly unknown[]): Promise<any[]>
  /** The address, without a password. */
  title(): string
}
