export const engineNames = ['chromium', 'firefox', 'webkit'] as const
export type EngineName = (typeof engineNames)[number]

/** What an engine lets a test do or see, beside what all of them do. */
export interface Capabilities {
  /** A tab can be made to crash: {@link Tab.crash}. */
  readonly crash: boolean
  /** The engine tells what a page threw and nobody caught: {@link Engine.errors}. */
  readonly tellErrors: boolean
}

/** A running browser, whatever its make. */
export interface Engine {
  readonly name: EngineName
  readonly version: string
  readonly can: Capabilities
  /** What pages threw and nobody caught, since the start. Stays empty where the engine does not tell. */
  readonly errors: string[]
  /** Opens a visible tab (a window where other tabs are hidden), and waits until its page has loaded. All tabs share what they store. */
  open(url: string): Promise<Tab>
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
   * @throws Error with the name, message and `code` of what the function threw, or one of the engine's if the page goes away meanwhile
   */
  evaluate<Result, Arg = undefined>(fn: (arg: Arg) => Result, ...arg: [arg?: Arg]): Promise<Awaited<Result>>
  /** Resolves once the new page has loaded, as the next two do. */
  navigate(url: string): Promise<void>
  reload(): Promise<void>
  back(): Promise<void>
  /** Closes the tab as a person does: its page hears `pagehide`. */
  close(): Promise<void>
  /** Ends the tab's process without a word to its page. Resolves once it has ended. Rejects where the engine cannot. */
  crash(): Promise<void>
}

/** What each engine has to do by itself: runs an expression in the page, which comes to a promise of text, and gives that text. */
type Run = (expression: string) => Promise<string>

type Answer = { readonly value?: unknown; readonly error?: { readonly name?: string; readonly message: string; readonly code?: string } }

/** {@link Tab.evaluate} on top of what an engine can run. Values go as text, for each engine would carry them in its own way. */
export function evaluateBy(run: Run): Tab['evaluate'] {
  return async (fn, arg) => {
    const { value, error } = JSON.parse(await run(expressionOf(fn.toString(), arg))) as Answer
    if (!error) return value as never
    const { name, message, code } = error
    throw Object.assign(new Error(message), { name, ...(code !== undefined && { code }) })
  }
}

const expressionOf = (fn: string, arg: unknown): string => `(async () => {
  try {
    return JSON.stringify({ value: await (${fn})(${JSON.stringify(arg)}) })
  } catch (error) {
    return JSON.stringify({ error: { name: error?.name ?? 'Error', message: String(error?.message ?? error), code: error?.code } })
  }
})()`
