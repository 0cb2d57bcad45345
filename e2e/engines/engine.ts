export const engineNames = ['chromium', 'firefox', 'webkit'] as const
export type EngineName = (typeof engineNames)[number]

declare module 'vitest' {
  interface ProvidedContext {
    /** That in which the tests of a project run. */
    engine: EngineName
  }
}

/** The engines that there can be on a system: WebKitGTK runs on Linux only. */
export const enginesHere = (system: string = process.platform): readonly EngineName[] =>
  engineNames.filter((name) => name !== 'webkit' || system === 'linux')

/** A name of this machine that engines know, and take for any other site: a page from there by http has no secure context. */
export const insecureHost = 'insecure.test'

/**
 * What only some tests need, and not every engine or its driver has:
 * `crash`, a tab can be made to crash; `errors`, the engine tells what pages threw; `quota`, the room for an origin can be limited;
 * `cache`, a page that had Web Locks until it was left goes into the back/forward cache; `settings`, what pages may store can be set;
 * `busy`, a worker has IndexedDB while its page is busy; `goodbye`, what a page sends while its tab is closed arrives for certain;
 * `insecure`, a name of this machine that is no secure context.
 */
export type Need = 'crash' | 'errors' | 'quota' | 'cache' | 'settings' | 'busy' | 'goodbye' | 'insecure'

/** Pages that a person does not let store anything: all, or those in a frame of another site. */
export type Denied = 'all' | 'foreign'

/** A running browser, whatever its make. */
export interface Engine {
  readonly name: EngineName
  readonly version: string
  /** Why tests that need something are left out here. What is not named can be had. */
  readonly cannot: Readonly<Partial<Record<Need, string>>>
  /** What pages threw and nobody caught, since the start. Stays empty where the engine {@link Engine.cannot} tell. */
  readonly errors: string[]
  /** Opens a visible tab (a window where other tabs are hidden), and waits until its page has loaded. All tabs share what they store. */
  open(url: string): Promise<Tab>
  /** Sets, while there are no tabs and until the next reset, which pages may store nothing. Rejects where the engine {@link Engine.cannot}. */
  deny(denied: Denied): Promise<void>
  /** Closes all tabs and forgets what they stored. */
  reset(): Promise<void>
  /** Ends the browser and all its processes. */
  close(): Promise<void>
}

export interface Tab {
  /**
   * Runs a function in the page.
   * @param fn uses nothing but its argument and the page's globals; may return a promise
   * @param arg as JSON can carry it
   * @returns the result as JSON carries it: what is `undefined` stays out
   * @throws Error with the name, message and `code` of what the function threw, or one that says that the page went away meanwhile
   */
  evaluate<Result, Arg = undefined>(fn: (arg: Arg) => Result, ...arg: [arg?: Arg]): Promise<Awaited<Result>>
  /** Resolves once the new page has loaded, as the next two do. */
  navigate(url: string): Promise<void>
  reload(): Promise<void>
  back(): Promise<void>
  /** Closes the tab as a person does: its page gets `pagehide`. */
  close(): Promise<void>
  /** Ends the tab's process without a word to its page. Resolves once it has ended. Rejects where the engine {@link Engine.cannot}. */
  crash(): Promise<void>
  /** Leaves the page's origin so many bytes to store things in, or as many as ever. Rejects where the engine {@link Engine.cannot}. */
  limitQuota(bytes?: number): Promise<void>
}

/** What each engine has to do by itself for a {@link Tab}. */
export interface Driver extends Omit<Tab, 'evaluate'> {
  /** Gives the text to which a promise comes that this expression has made in the page. */
  run(expression: string): Promise<string>
}

type Answer = { readonly value?: unknown; readonly error?: { readonly name: string; readonly message: string; readonly code?: string } }

/** A tab on top of what an engine can do. Values go as text, for each engine would carry them in its own way. */
export function tabOn(driver: Driver): Tab {
  /** Of those evaluations that wait for the present page. */
  let rejects = new Set<(error: Error) => void>()

  /** Not all engines reject waits for a page that is gone. */
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

// What runs a command's TypeScript may have put calls of `__name` into its functions.
const expressionOf = (fn: string, arg: unknown): string => `(async () => {
  const __name = (named) => named
  try {
    return JSON.stringify({ value: await (${fn})(${JSON.stringify(arg)}) })
  } catch (error) {
    return JSON.stringify({ error: { name: error?.name ?? 'Error', message: String(error?.message ?? error), code: error?.code } })
  }
})()`
