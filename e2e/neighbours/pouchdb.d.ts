/** The part of PouchDB that the tests use. */
declare module 'pouchdb-browser' {
  interface Document {
    readonly _id: string
    readonly _rev?: string
  }
  export default class PouchDB<Content> {
    constructor(name: string)
    get(id: string): Promise<Content & Document>
    put(document: Content & Document): Promise<unknown>
    close(): Promise<void>
  }
}
