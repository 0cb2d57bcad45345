import type { LockView } from '../protocol/index.ts'
import type { Part, Store } from '../store.ts'
import type { Caller } from './access.ts'
import { type Fault, faultOf } from './answers.ts'
import { whoOf } from './budgets.ts'
import { nextTurn } from './journal.ts'
import type { Turns } from './turns.ts'
import { veiled } from './veil.ts'

/**
 * How many records are read in the first step, and at most in later ones, as long as a step takes no more than `ms`: other requests get their turn in
 * between.
 */
const steps = { first: 4, most: 64, ms: 5 }

/** All records of a store whose keys start with a prefix, a few at a time. Other requests are answered in between. */
export async function* pagesOf(
  store: Store,
  prefix = '',
  after?: string,
  part: Part = {},
  rest: () => Promise<void> = nextTurn,
): AsyncGenerator<readonly LockView[]> {
  if (!store.page) {
    const all = await store.list(prefix, part)
    yield after === undefined ? all : all.filter(({ key }) => key > after)
    return
  }
  let step = steps.first
  for (let last = after; ; ) {
    const began = performance.now()
    const page = await store.page(prefix, last, step, part)
    // Processing the page is part of the step.
    if (page.length) yield page
    last = page.at(-1)?.key
    if (page.length < step) return
    step = performance.now() - began > steps.ms ? Math.max(1, step >> 1) : Math.min(2 * step, steps.most)
    await rest()
  }
}

/** The keys that start with `prefix` and that the caller may see, as prefixes that do not overlap. */
function prefixesFor({ prefixes }: Caller, prefix: string): string[] {
  const within = prefixes.flatMap((own) => (own.startsWith(prefix) ? [own] : prefix.startsWith(own) ? [prefix] : []))
  return [...new Set(within)].filter((one) => !within.some((other) => other !== one && one.startsWith(other))).sort()
}

interface Wanted {
  readonly prefix: string
  readonly after: string | undefined
  /** The most records. */
  readonly limit: number
  /** Whether records of locks that are not held, waited for or pinned may be left out. */
  readonly busy: boolean
  /** The most bytes. */
  readonly most: number
}

/** A page of the records that a caller may see, as the text of a `ListReply`; a fault if even the first record is too long. */
export async function listText(
  store: Store,
  turns: Turns,
  caller: Caller,
  { prefix, after, limit, busy, most }: Wanted,
): Promise<{ readonly text: string } | { readonly fault: Fault }> {
  const texts: string[] = []
  let bytes = 0
  const rest = (): Promise<void> => turns.rest(whoOf(caller))
  const end = (more: boolean) => ({ text: `{"locks":[${texts.join(',')}],"more":${more}}` })
  for (const each of prefixesFor(caller, prefix)) {
    for await (const views of pagesOf(store, each, after, { busy }, rest)) {
      for (const view of views) {
        if (texts.length === limit) return end(true)
        const text = JSON.stringify(veiled(view))
        bytes += Buffer.byteLength(text)
        if (bytes > most) {
          return texts.length ? end(true) : { fault: tooLong(view.key, bytes, most) }
        }
        texts.push(text)
      }
    }
  }
  return end(false)
}

/** A record does not fit in an answer. */
export const tooLong = (key: string, bytes: number, most: number): Fault =>
  faultOf(
    413,
    'too-long',
    `the record of ${JSON.stringify(key)} has ${bytes} bytes, and an answer may have ${most}: have the limit \`answer\` raised`,
  )
