import { join } from 'node:path'
import type { Plugin } from 'vite'
import { root } from '../bench/bundle.ts'

/** A way to break the library. The simulation must notice it. */
export interface Mutant {
  readonly name: string
  /** It takes many worlds to notice, so only the command hunts it. */
  readonly rare?: true
  /** Replacements in the sources. Files are named from `src/`. */
  readonly patches: readonly (readonly [file: string, text: string, wrong: string])[]
}

export const mutants: readonly Mutant[] = [
  {
    name: 'a deadline counts from the reply instead of the send',
    rare: true,
    patches: [['locks/outbox.ts', 'outcomes[index] as Outcome, sent, drift }', 'outcomes[index] as Outcome, sent: this.#clock.monotonic(), drift }']],
  },
  {
    name: 'a re-entrant lock is not checked again after the wait for it',
    patches: [['locks/reentrant.ts', 'if (!shared.hold.ended) return guardOf(shared)', 'return guardOf(shared)']],
  },
  {
    name: 'any session that knows the token of a lock may release it',
    patches: [['protocol/draft.ts', "holder.session === session ? holder : 'not-owner'", 'session && holder']],
  },
  {
    name: 'a renewal takes an evicted lock back',
    patches: [
      [
        'protocol/reduce.ts',
        "      if (typeof holder === 'string') return holder\n",
        `      if (holder === 'not-held' && command.type === 'renew' && draft.allows({ mode: 'exclusive' }))
        return { type: 'renewed', holder: draft.grant({ session: command.session, client: command.session, mode: 'exclusive' }, 0) }
      if (typeof holder === 'string') return holder\n`,
      ],
    ],
  },
  {
    name: 'a waiter takes over when the wall clock says so',
    patches: [
      ['locks/lookout.ts', 'maxBackoff: settings.maxBackoff }', 'maxBackoff: settings.maxBackoff, wall: this.#session.clock.now() } as never'],
      ['locks/core/silence.ts', 'pause, maxBackoff }: LookAhead', 'pause, maxBackoff, wall }: any'],
      [
        'locks/core/silence.ts',
        'const due = ended ||',
        'const due = wall > Math.max(holder.expiresAt, view.sessions.get(holder.session)?.expiresAt ?? 0) || ended ||',
      ],
    ],
  },
  {
    name: 'a release resets the token',
    patches: [
      [
        'protocol/draft.ts',
        '    this.holders = this.holders.filter((held) => held !== holder)\n',
        '    this.holders = this.holders.filter((held) => held !== holder)\n    this.#token = 0\n',
      ],
    ],
  },
  { name: 'a sweep resets the token', patches: [['protocol/batch.ts', 'Math.max(floor(), before.token)', '0']] },
  {
    name: 'evidence against a holder ignores its counter',
    rare: true,
    patches: [['protocol/reduce.ts', "  if ((holder.seq ?? draft.session(holder.session)?.seq) !== evidence.seq) return 'live'\n", '']],
  },
  {
    name: 'a waiter mistakes a holder that renews for a silent one',
    patches: [['locks/core/silence.ts', `silence(\`\${token}\`, \`\${seq}\`)`, `silence(\`\${token}\`, '')`]],
  },
  {
    name: 'evidence against a holder ignores its token',
    patches: [
      ['locks/core/silence.ts', `silence(\`\${token}\`, \`\${seq}\`)`, `silence(holder.session, \`\${seq}\`)`],
      ['protocol/reduce.ts', 'draft.holders.find((held) => held.token === evidence.token)', 'draft.holders[0]'],
    ],
  },
  {
    name: 'a repeated request that changed nothing gives a deadline',
    rare: true,
    patches: [
      ['locks/line.ts', 'await session.send(command)', 'await session.send(command).catch(() => session.send(command))'],
      ['locks/core/key.ts', "outcome.type === 'granted' && !outcome.repeated", "outcome.type === 'granted'"],
    ],
  },
  {
    name: 'a repeated request queues twice',
    patches: [['protocol/reduce.ts', "  if (draft.queue.some((run) => contains(run, session, number))) return { type: 'queued' }\n", '']],
  },
  {
    name: 'a grant by another is used without being confirmed',
    patches: [
      [
        'locks/core/key.ts',
        'this.#start(request, holder, at, drift, at + confirm * usable)',
        'this.#start(request, { ...holder, seq: undefined }, at, drift)',
      ],
    ],
  },
  {
    name: 'a grant by another need not be confirmed',
    patches: [['protocol/draft.ts', 'session === own ? undefined : { confirm, lapses }', 'undefined']],
  },
  {
    name: 'the heartbeat outlives close',
    patches: [
      ['locks/session.ts', '    for (const lease of [...this.heart.leases]) left.push(lease.release())\n', ''],
      ['locks/session.ts', '    this.heart.stop()\n', ''],
    ],
  },
  { name: 'a request skips the queue', patches: [['protocol/reduce.ts', 'draft.queue.length || !draft.allows(command)', '!draft.allows(command)']] },
  {
    name: 'a grant that is confirmed after its waiter gave up is kept',
    patches: [
      [
        'locks/core/key.ts',
        'if (!this.#unconfirmed(request, number)) return this.#letGo(number)\n    // A forged',
        'this.#unconfirmed(request, number)\n    // A forged',
      ],
    ],
  },
  {
    name: 'a frozen page forgets that it withdrew its requests',
    rare: true,
    patches: [['locks/core/key.ts', '? this.#takeBack(request) : [])', '? this.#letGo(request.number) : [])']],
  },
  {
    name: 'a grant by one’s own revocation is not confirmed',
    rare: true,
    patches: [['locks/core/key.ts', 'holder.unconfirmed ? this.#found(request, holder, now) : this.#start', 'this.#start']],
  },
  {
    name: 'a hold leans on the beat though it may have got a lease of its own',
    rare: true,
    patches: [['locks/lease.ts', '    if (lease !== undefined) this.#standAlone()\n', '']],
  },
  {
    name: 'a session does not look at its records when a beat reports evictions',
    patches: [['locks/heart.ts', 'if (taken) await session.lookAtHolds(keys)', 'if (taken) void keys']],
  },
  { name: 'a sleep counts as silence', patches: [['locks/core/observer.ts', 'Math.min(sent - last.at, cap)', 'sent - last.at + 0 * cap']] },
  {
    name: 'a holder trusts a monotonic clock that slept',
    rare: true,
    patches: [
      [
        'locks/heart.ts',
        'return Math.abs(driftOf(clock) - drift) <= duration * steadiness',
        'return driftOf(clock) - drift <= Infinity || duration > 0',
      ],
    ],
  },
  {
    name: 'a lock is believed until its timer rings',
    patches: [['locks/lease.ts', '    if (now >= this.deadline) {\n      this.expireIfDue(now)\n      return false\n    }\n', '']],
  },
  {
    name: 'the fence checks only the session',
    patches: [
      [
        'protocol/fence.ts',
        'holder.token <= token && token <= lastTokenOf(holder) && holder.session === session',
        'holder.session === session && token + lastTokenOf(holder)',
      ],
    ],
  },
  {
    name: 'a holder beats too rarely',
    patches: [['locks/heart.ts', 'return this.#session.settings.duration / 10', 'return this.#session.settings.duration * 1.1']],
  },
  { name: 'a hint wakes no waiter', patches: [['locks/hints.ts', '(message) => this.#heard(message)', '() => {}']] },
  { name: 'a proof of death is not acted upon', patches: [['locks/watch.ts', '          this.#died(session)\n', '          void this.#died\n']] },
  {
    name: 'a beacon mistakes a stopped process for a dead one',
    patches: [
      ['../sim/beacons.ts', '?.lockManager !== lockManager\n', '?.lockManager !== lockManager || !this.#lit.get(address)?.process.running\n'],
    ],
  },
  {
    name: 'a lock that is free in another lock manager counts as a proof of death',
    patches: [['beacons/web-locks/managers.ts', '    return this.#ours.has(manager)\n', '    return this.#ours.has(manager) || true\n']],
  },
  {
    name: 'silence counts as a proof of death of a tab from before the storage was cleared',
    patches: [['beacons/web-locks/managers.ts', '!doubtful && !this.#doubtful && (await gone)', '(doubtful || !doubtful) && (await gone)']],
  },
  {
    name: 'a proof of one session’s death ends another session',
    patches: [['locks/lookout.ts', "{ type: 'end', session: dead }", "{ type: 'end', session: this.#view?.holders[0]?.session ?? dead }"]],
  },
  {
    name: 'a session goes on without the beacon that it has lost',
    patches: [['locks/presence.ts', "id === this.#id && this.#session.end(typeof why === 'string' ? why : 'its beacon went out')", 'void why']],
  },
  {
    name: 'a tab does not hear that its beacon was stolen',
    rare: true,
    patches: [['beacons/web-locks.ts', '      goOut()\n', '      void goOut\n']],
  },
  {
    name: 'a session does not publish the address of its beacon',
    patches: [['locks/presence.ts', '      beacon: this.#beacon?.address,\n', '']],
  },
  {
    name: 'a session waits for ever for its beacon',
    patches: [
      [
        'locks/presence.ts',
        'await within<RaisedBeacon | undefined>(clock, raised, raising, undefined, goOn)',
        'await (raising ? raised : within<RaisedBeacon | undefined>(clock, raised, raising, undefined, goOn))',
      ],
    ],
  },
  {
    name: 'a beacon that cannot be raised keeps its session from opening',
    patches: [['locks/presence.ts', 'goOn))\n    } catch {\n      return undefined', 'goOn))\n    } catch (error) {\n      throw error']],
  },
  {
    name: 'a release grants the lock to the last waiter',
    patches: [
      [
        'protocol/draft.ts',
        'this.queue = from === to ? this.queue.slice(1) : [{ ...head, from: from + 1 }, ...this.queue.slice(1)]',
        'this.queue = this.queue.flatMap((run) => run !== head ? [run] : from === to ? [] : [{ ...run, from: from + 1 }])',
      ],
      ['protocol/draft.ts', '    return this.queue[0]\n', '    return this.queue.at(-1)\n'],
    ],
  },
  { name: 'no hint tells of an ask', patches: [['locks/line.ts', 'this.#session.hints.sendAll(this.view)', 'void this.view']] },
  {
    name: 'a refused release leaves the request of a grant that lapsed in the queue',
    rare: true,
    patches: [['locks/unsaid.ts', 'if (stillStands(outcome, what)) await', 'if (!stillStands) await']],
  },
  {
    name: 'a session does not look at its records when a beat reports asks',
    patches: [['locks/heart.ts', 'else if (asked) {', 'else if (!asked && keys) {']],
  },
  {
    name: 'a hint that cannot be sent spoils the command that it tells of',
    patches: [
      [
        'locks/hints.ts',
        'publish(session, message)\n    } catch (error) {\n      this.#channelFailed(error)\n    }',
        'publish(session, message)\n    } finally {\n      void session\n    }',
      ],
    ],
  },
  { name: 'an ended session still listens for hints', patches: [['locks/hints.ts', '    this.#unsubscribe?.()\n', '']] },
  {
    name: 'a tab’s hints stay in the tab',
    patches: [['channels/broadcast.ts', 'channel.postMessage({ topic, message } satisfies Parcel)', 'void 0']],
  },
  {
    name: 'a socket channel sends nothing to peers that it does not know',
    patches: [['channels/socket.ts', 'known.length ? known : place.find(topic)', 'known']],
  },
  {
    name: 'with manual expiry a proof of death evicts all the same',
    patches: [['locks/lookout.ts', "this.#session.settings.expiry !== 'auto' || ", '']],
  },
  {
    name: 'a query shows locks of another namespace',
    patches: [['locks/admin.ts', 'home === namespace ? name : undefined', 'home !== undefined ? name : undefined']],
  },
  {
    name: 'the policy is not asked about names',
    patches: [['locks/options.ts', '  checkName(policy, name, label)\n', '  void [checkName, policy, label]\n']],
  },
  {
    name: 'a hint lets its waiter skip the queue',
    patches: [
      ['locks/hints.ts', '    else if (!line) return\n', '    else if (!line || line.grab()) return\n'],
      [
        'locks/line.ts',
        '  /** The record as it was last seen. */\n',
        '  grab(): boolean {\n    for (const waiter of [...this.state.requests.values()]) this.carryOut(this.state.grab(waiter))\n    return false\n  }\n',
      ],
      ['locks/core/request.ts', 'wish.steal && (wish.ask === undefined || impatient)', 'impatient || (wish.steal && wish.ask === undefined)'],
    ],
  },
  {
    name: 'a hint that a record has changed counts as a grant',
    patches: [
      [
        'locks/hints.ts',
        '    else line.looks.poke()\n',
        '    else {\n      const [next = 0] = line.state.requests.keys()\n      const { token } = line.view\n      line.carryOut(line.state.hinted({ number: next, token: token + 1, previous: token, reserve: undefined }, this.#session.clock.monotonic()))\n    }\n',
      ],
    ],
  },
  {
    name: 'a hint is believed though it is older than the last look',
    rare: true,
    patches: [['locks/core/key.ts', 'token <= seen.token || ', '']],
  },
  {
    name: 'any waiter believes a hint for another',
    patches: [
      [
        'locks/core/key.ts',
        '    const request = this.requests.get(number)\n    const { confirm, id: session, trusted }',
        '    const [request] = this.requests.values()\n    const { confirm, id: session, trusted }',
      ],
    ],
  },
  {
    name: 'a grant by a hint is used without being confirmed',
    patches: [
      ['locks/core/key.ts', 'reserve, seq: -1 }', 'reserve, seq: undefined }'],
      [
        'locks/core/key.ts',
        'this.#start(request, grant, seen.at, seen.drift, seen.at + confirm * usable)',
        'this.#start(request, grant, seen.at, seen.drift)',
      ],
    ],
  },
  {
    name: 'no hint tells of a grant',
    patches: [['locks/arrivals.ts', 'hints.send(id, { key, number, token', 'void (id, { key, number, token']],
  },
  {
    name: 'no hint tells of a steal',
    patches: [['locks/arrivals.ts', 'robbed(number, token, reason))\n      else hints.send(id, { key })', 'robbed(number, token, reason))\n']],
  },
  {
    name: 'a waiter far back in the queue never looks at the record',
    patches: [
      [
        'locks/glimpse.ts',
        'sent >= this.#readAt + leaseFor(duration) || this.#beatenAt === -Infinity',
        'this.#readAt + leaseFor(duration) === -Infinity',
      ],
      ['locks/glimpse.ts', ' && this.#beatenAt > -Infinity && this.#readAt === readAt', ' && this.#readAt <= readAt'],
    ],
  },
  { name: 'an ask that was withdrawn is not kept', patches: [['protocol/reduce.ts', '    draft.leave(run, number)\n', '']] },
  { name: 'an ask is reported at every look', patches: [['locks/asks.ts', '!heard?.has(id)', 'heard !== null']] },
  {
    name: 'a session that opens treats all sessions that it finds as dead',
    patches: [['locks/dead.ts', 'row.id !== own && (await isDead(beacon, row))', 'row.id !== own']],
  },
  { name: 'an ask does not raise the holders’ counters', patches: [['protocol/reduce.ts', "draft.bump(session, 'asks')", 'void session']] },
  {
    name: 'a channel that throws keeps its session from opening',
    rare: true,
    patches: [
      [
        'locks/hints.ts',
        'channel?.subscribe(topic, listener)\n    } catch (error) {\n      this.#channelFailed(error)\n      return undefined',
        'channel?.subscribe(topic, listener)\n    } catch (error) {\n      throw error',
      ],
    ],
  },
  {
    name: 'with manual expiry a holder is evicted all the same',
    patches: [['locks/looks.ts', "this.look(session.settings.expiry === 'auto' && key.requests.size > 0)", 'this.look(key.requests.size > 0)']],
  },
  {
    name: 'a lock lingers on in a page that is frozen',
    patches: [['locks/line.ts', '      this.leases.dropIdle()\n      this.carryOut', '      this.carryOut']],
  },
  {
    name: 'a lock begins to linger in a page that is being frozen',
    patches: [['locks/line.ts', ' || this.state.asleep || session.hints.isWatched(key)', ' || session.hints.isWatched(key)']],
  },
  {
    name: 'a lock lingers on when its locks are closed',
    patches: [
      [
        'locks/session.ts',
        'for (const lease of [...this.heart.leases]) left.push(lease.release())\n    const said = Promise.allSettled([...left, this.leaveStore()])',
        'for (const lease of [...this.heart.leases]) if (lease.hold) left.push(lease.release())\n    const said = Promise.allSettled([...left, this.heart.leases.size || this.leaveStore()])',
      ],
    ],
  },
  { name: 'a linger survives an ask', patches: [['locks/looks.ts', '    if (view.queue.length) this.#line.leases.dropIdle()\n', '']] },
  {
    name: 'a lingering session does not learn from the store that another session waits',
    patches: [
      [
        'protocol/reduce.ts',
        'command.ask !== undefined || (first && reserve !== undefined)',
        'command.ask !== undefined || (first && reserve === null)',
      ],
    ],
  },
  {
    name: 'a lingering lock keeps its token when it is taken again',
    patches: [['locks/core/grant.ts', 'return ++this.usedToken', 'return this.usedToken']],
  },
  {
    name: 'no tokens are reserved for a lingering lock',
    patches: [['protocol/draft.ts', 'this.#token = lastTokenOf(holder)', 'this.#token = holder.token']],
  },
  {
    name: 'one more session than the limit allows holds the lock',
    patches: [['protocol/draft.ts', 'this.holders.length < limit', 'this.holders.length < limit + Number(limit > 1)']],
  },
  {
    name: 'a request joins holders with another limit',
    patches: [['protocol/reduce.ts', 'others && limitOf(draft) !== limit', 'others < 0 && limitOf(draft)']],
  },
  {
    name: 'a request that waits forgets its limit',
    patches: [['protocol/draft.ts', 'mode, limit, lease, metadata, reserve, from: number,', 'mode, lease, metadata, reserve, from: number,']],
  },
  {
    name: 'only the first of several holders is observed',
    patches: [['locks/core/silence.ts', 'for (const holder of view.holders) {', 'for (const holder of view.holders.slice(0, 1)) {']],
  },
  {
    name: 'a limit is not sent to the store',
    patches: [
      ['locks/core/key.ts', 'number, mode, limit, confirm, lease, metadata', 'number, mode, limit: limit && undefined, confirm, lease, metadata'],
    ],
  },
]

/** Applies a mutant to the bundled sources. Throws if a text is not found exactly once, because the sources have changed. */
export function mutation({ name, patches }: Mutant): Plugin {
  const done = new Set<(typeof patches)[number]>()
  return {
    name: 'mutation',
    enforce: 'pre',
    transform(code, id) {
      let changed = code
      for (const patch of patches) {
        const [file, text, wrong] = patch
        if (id !== join(root, 'src', file).replaceAll('\\', '/')) continue
        if (changed.split(text).length !== 2) throw new Error(`the mutant “${name}” wants exactly one ${JSON.stringify(text)} in src/${file}`)
        changed = changed.replace(text, () => wrong)
        done.add(patch)
      }
      return changed === code ? undefined : { code: changed, map: null }
    },
    buildEnd(error) {
      if (!error && done.size !== patches.length) throw new Error(`the mutant “${name}” changes a file that is not simulated`)
    },
  }
}
