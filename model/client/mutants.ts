import type { Effects } from '../../src/locks/core/effects.ts'
import { Grant } from '../../src/locks/core/grant.ts'
import { Key } from '../../src/locks/core/key.ts'
import { Observer } from '../../src/locks/core/observer.ts'
import type { Request, Seen } from '../../src/locks/core/request.ts'
import { type Parts, realParts } from './world.ts'

type Heard<R extends Request, G extends Grant> = Effects<R, G>

/** A client whose key is broken in one way. */
const keyed = (Broken: typeof Key): Parts => ({ ...realParts, Key: Broken })

/** Changes what the requests of a key were last seen as. */
function reseen(key: { readonly requests: ReadonlyMap<number, Request> }, change: (seen: Seen) => Seen): void {
  for (const request of key.requests.values()) if ('seen' in request.life) request.life = { ...request.life, seen: change(request.life.seen) }
}

/** Clients that are each broken in one way. The model must detect every one. */
export const mutants: Readonly<Record<string, Parts>> = {
  'a hint is believed though it is older than the last look': keyed(
    class<R extends Request, G extends Grant> extends Key<R, G> {
      override hinted(...[hint, now]: Parameters<Key<R, G>['hinted']>): Heard<R, G> {
        reseen(this, (seen) => ({ ...seen, token: 0 }))
        return super.hinted(hint, now)
      }
    },
  ),
  'a hint is believed however late it arrives': keyed(
    class<R extends Request, G extends Grant> extends Key<R, G> {
      override hinted(...[hint, now]: Parameters<Key<R, G>['hinted']>): Heard<R, G> {
        reseen(this, (seen) => ({ ...seen, at: now }))
        return super.hinted(hint, now)
      }
    },
  ),
  'a grant by another is used without being confirmed': keyed(
    class<R extends Request, G extends Grant> extends Key<R, G> {
      override looked(...given: Parameters<Key<R, G>['looked']>): Heard<R, G> {
        return super.looked(...given).map((effect) => {
          if (effect.do !== 'start') return effect
          const { until: _, grant, ...start } = effect
          return { ...start, grant: { ...grant, seq: undefined } }
        })
      }
    },
  ),
  'an unconfirmed grant is used for longer than it lasts': keyed(
    class<R extends Request, G extends Grant> extends Key<R, G> {
      override looked(...given: Parameters<Key<R, G>['looked']>): Heard<R, G> {
        return super.looked(...given).map((effect) => (effect.do === 'start' && effect.until ? { ...effect, until: effect.until + 3 } : effect))
      }
    },
  ),
  'a waiter that gives up leaves its request behind': keyed(
    class<R extends Request, G extends Grant> extends Key<R, G> {
      override leave(request: R): Heard<R, G> {
        return super.leave(request).filter((effect) => effect.do !== 'letGo')
      }
    },
  ),
  'a grant for which no request waits is kept': keyed(
    class<R extends Request, G extends Grant> extends Key<R, G> {
      override answered(...given: Parameters<Key<R, G>['answered']>): Heard<R, G> {
        const [request, number] = given
        return this.waits(request, number) ? super.answered(...given) : []
      }
      override looked(...given: Parameters<Key<R, G>['looked']>): Heard<R, G> {
        return super.looked(...given).filter((effect) => effect.do !== 'letGo')
      }
    },
  ),
  'a request whose answer was lost is not withdrawn': keyed(
    class<R extends Request, G extends Grant> extends Key<R, G> {
      override unanswered(...given: Parameters<Key<R, G>['unanswered']>): Heard<R, G> {
        return super.unanswered(...given).filter((effect) => effect.do !== 'letGo')
      }
    },
  ),
  'a request that was dropped is not made again': keyed(
    class<R extends Request, G extends Grant> extends Key<R, G> {
      override looked(...given: Parameters<Key<R, G>['looked']>): Heard<R, G> {
        return super.looked(...given).filter((effect) => effect.do !== 'send')
      }
    },
  ),
  'a failed confirmation counts as a confirmation': keyed(
    class<R extends Request, G extends Grant> extends Key<R, G> {
      override unconfirmed(request: R, number: number): Heard<R, G> {
        const holder = this.view.holders[0]
        const start = holder && this.waits(request, number)
        return start ? [{ do: 'start', request, grant: holder, since: this.lookedAt, drift: 0 }] : super.unconfirmed(request, number)
      }
    },
  ),
  'a confirmation that comes after its waiter gave up is kept': keyed(
    class<R extends Request, G extends Grant> extends Key<R, G> {
      override confirmed(...given: Parameters<Key<R, G>['confirmed']>): Heard<R, G> {
        const [request, number] = given
        return this.waits(request, number) ? super.confirmed(...given) : []
      }
    },
  ),
  'a held lock is released as if no request had asked for it': keyed(
    class<R extends Request, G extends Grant> extends Key<R, G> {
      override answers(): boolean {
        return false
      }
    },
  ),
  'a deadline counts from the answer': { ...realParts, answer: (_, answer, now) => ({ ...answer, sent: now }) },
  'a deadline is two ticks too late': {
    ...realParts,
    Grant: class extends Grant {
      override get deadline(): number {
        return super.deadline + 2
      }
    },
  },
  'a grant counts from when it was heard of': {
    ...realParts,
    Grant: class extends Grant {
      constructor(...[granted, terms, keeper, beats, now]: ConstructorParameters<typeof Grant>) {
        super(granted, { ...terms, since: now }, keeper, beats, now)
      }
    },
  },
  'silence is not broken by a beat': {
    ...realParts,
    Observer: class extends Observer {
      override look(...[who, , ...rest]: Parameters<Observer['look']>): number {
        return super.look(who, '', ...rest)
      }
    },
  },
  'silence of any length is evidence': {
    ...realParts,
    Observer: class extends Observer {
      override look(...given: Parameters<Observer['look']>): number {
        super.look(...given)
        return Infinity
      }
    },
  },
}
