/** The store's database, in which a lock server also keeps tables of its own. */
export interface Beside {
  /** The schema of the tables, as a quoted SQL identifier. */
  readonly schema: string
  /** Rejects with an error that names the database. */
  // biome-ignore lint/suspicious/noExplicitAny: a row has whatever the statement asks for
  query(text: string, values?: readonly unknown[]): Promise<any[]>
  /** The address, without a password. */
  title(): string
}
