export const engineNames = ['chromium', 'firefox', 'webkit'] as const
export type EngineName = (typeof engineNames)[number]

declare module 'vitest' {
  interface ProvidedContext {
    /** The engine that runs the tests of this project. */
    engine: EngineName
  }
}

/** The engines that a system can have: WebKitGTK runs on Linux only. */
export const enginesHere = (system: string = process.platform): readonly EngineName[] =>
  engineNames.filter((name) => name !== 'webkit' || system === 'linux')

/** A host name that engines map to this machine but treat like any other site: over http its pages have no secure context. */
export const insecureHost = 'insecure.test'

/**
 * What only some tests need, and not every engine or driver has:
 * `crash`, a tab can be made to crash; `errors`, the driver reports errors that pages throw; `quota`, an origin's quota can be limited;
 * `cache`, a page that held Web Locks until it was left goes into the back/forward cache; `settings`, storage can be denied to pages;
 * `busy`, a worker can use IndexedDB while its page is busy; `goodbye`, a request that a page sends as its tab closes always arrives;
 * `insecure`, this machine has a host name whose pages have no secure context.
 */
export type Need = 'crash' | 'errors' | 'quota' | 'cache' | 'settings' | 'busy' | 'goodbye' | 'insecure'

/** The pages to which the user denies storage: all, or those in a frame of another site. */
export type Denied = 'all' | 'foreign'

/** A running browser of any engine. */
export interface Engine {
  readonly name: EngineName
  readonly version: string
  /** The needs that this engine cannot meet, each with the reason. */
  readonly cannot: Readonly<Partial<Record<Need, string>>>
  /** Uncaught errors from all pages since the start. Stays empty if the engine {@link Engine.cannot} report them. */
  readonly errors: string[]
  /** Opens a visible tab (a window, if other tabs would be hidden), and waits until its page has loaded. All tabs share their storage. */
  open(url: string): Promise<Tab>
  /** Denies storage to pages until the next reset. Call it while there are no tabs. Rejects if the engine {@link Engine.cannot}. */
  deny(denied: Denied): Promise<void>
  /** Lets pages that are left go into the back/forward cache, if the engine has one, until the next reset. Call it while there are no tabs. */
  keepLeftPages(): Promise<void>
  /** Closes all tabs and deletes their storage. */
  reset(): Promise<void>
  /** Ends the browser and all its processes. */
  close(): Promise<void>
}

export interface Tab {
  /**
   * Runs a function in the page.
   * @param fn uses only its argument and the page's globals; may return a promise
   * @param arg is passed as JSON
   * @returns the result, passed as JSON: properties that are `undefined` are left out
   * @throws Error with the name, message and `code` of the error that the function threw, or one that says that the page went away meanwhile
   */
  evaluate<Result, Arg = undefined>(fn: (arg: Arg) => Result, ...arg: [arg?: Arg]): Promise<Awaited<Result>>
  /** Resolves once the new page has loaded. So do the next two. */
  navigate(url: string): Promise<void>
  reload(): Promise<void>
  back(): Promise<void>
  /** Closes the tab as a user does: its page gets `pagehide`. */
  close(): Promise<void>
  /** Kills the tab's process; the page gets no event. Resolves once it has ended. Rejects if the engine {@link Engine.cannot}. */
  crash(): Promise<void>
  /** Sets the quota of the page's origin, or resets it to the default. Rejects if the engine {@link Engine.cannot}. */
  limitQuota(bytes?: number): Promise<void>
}

/** The parts of a {@link Tab} that each engine implements by itself. */
export interface Driver extends Omit<Tab, 'evaluate'> {
  /** Evaluates an expression in the page. It makes a promise of a text. @returns the text */
  run(expression: string): Promise<string>
}

type Answer = { readonly value?: unknown; readonly error?: { readonly name: string; readonly message: string; readonly code?: string } }

/** A tab built on an engine's driver. Values travel as text, since each driver would convert them in its own way. */
export function tabOn(driver: Driver): Tab {
  /** Reject the evaluations that wait for the present page. */
  let rejects = new Set<(error: Error) => void>()

  /** Rejects evaluations that still wait when the page leaves: not all engines do so. */
  const leaving = async (leave: () => Promise<void>): Promise<void> => {
    const left = rejects
    rejects = new Set()
    await leave()
    for (const reject of left) reject(new Error('the page went away before the function had ended'))
  }

  return {
    async evaluate(fn, arg) {
      const { promise: gone, reject } = withRejector()
      const waits = rejects.add(reject)
      try {
        const { value, error } = JSON.parse(await Promise.race([driver.run(expressionOf(fn.toString(), arg)), gone])) as Answer
        if (!error) return value as never
        const { name, message, code } = error
        throw Object.assign(new Error(message), { name, ...(code !== undefined && { code }) })
      } finally {
        waits.delete(reject)
      }
    },
    navigate: (url) => leaving(() => driver.navigate(url)),
    reload: () => leaving(driver.reload),
    back: () => leaving(driver.back),
    close: () => leaving(driver.close),
    crash: () => leaving(driver.crash),
    limitQuota: (bytes) => driver.limitQuota(bytes),
  }
}

function withRejector(): { promise: Promise<never>; reject: (error: Error) => void } {
  let reject = (_: Error): void => {}
  const promise = new Promise<never>((_, rejects) => {
    reject = rejects
  })
  return { promise, reject }
}

// The TypeScript runner may have inserted calls of `__name` into functions.
const expressionOf = (fn: string, arg: unknown): string => `(async () => {
  const __name = (named) => named
  try {
    return JSON.stringify({ value: await (${fn})(${JSON.stringify(arg)}) })
  } catch (error) {
    return JSON.stringify({ error: { name: error?.name ?? 'Error', message: String(error?.message ?? error), code: error?.code } })
  }
})()`
