import { createLocks } from 'storelock'
import { indexedDBStore } from 'storelock/stores/indexeddb'
import { installWebLocks } from 'storelock/web-locks'
import { Tab } from 'tab-election'

const browserLocks = navigator.locks
const locks = createLocks({ store: indexedDBStore('locks'), duration: 60_000 })
installWebLocks(locks)

const tab = new Tab<{ readonly note?: string }>('app')

/** What tests call in the page, as the global `election`: `tab-election` as its own users use it. */
const exposed = {
  /** Starts to wait for leadership. Resolves when this tab is in the queue. */
  async stand(name: string): Promise<void> {
    tab.waitForLeadership(() => ({ whoLeads: () => name }))
    await navigator.locks.query()
  },
  /** Resolves when this tab leads. */
  async leads(): Promise<void> {
    while (!tab.isLeader) await new Promise((resolve) => tab.addEventListener('leadershipchange', resolve, { once: true }))
  },
  isLeader: (): boolean => tab.isLeader,
  resign: (): void => tab.relinquishLeadership(),
  /** Asks the leading tab for its name. */
  whoLeads: (): Promise<string> => tab.call('whoLeads'),
  setState: (note: string): void => tab.setState({ note }),
  /** Resolves when the leader's state has this note. */
  async state(note: string): Promise<void> {
    while (tab.getState().note !== note) await new Promise((resolve) => tab.addEventListener('state', resolve, { once: true }))
  },
  /** The holder and the waiters of its lock, in the store and in the browser. */
  async query(): Promise<{ readonly ours: [held: number, pending: number]; readonly browsers: [held: number, pending: number] }> {
    const ours = await locks.query('tab-app')
    const { held = [], pending = [] } = await browserLocks.query()
    const count = (infos: LockInfo[]): number => infos.filter(({ name }) => name === 'tab-app').length
    return { ours: [ours.held.length, ours.pending.length], browsers: [count(held), count(pending)] }
  },
}

declare global {
  var election: typeof exposed
}

globalThis.election = exposed
