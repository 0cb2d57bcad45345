import type { Beacon, RaisedBeacon } from '../store.ts'

/** A beacon for sessions of one process, which lets a test simulate their death. */
export interface InProcessBeacon extends Beacon {
  /** Puts a beacon out as if its owner had died: notifies the watchers, but not the owner. */
  kill(address: string): void
  /** Puts a beacon out although its owner lives, and notifies the owner. */
  lose(address: string): void
}

interface Lit {
  readonly lose: () => void
  readonly watchers: Set<() => void>
}

export function inProcessBeacon(): InProcessBeacon {
  // The prefix is random, so that this object never takes another object's addresses for its own.
  const prefix = `in-process:${Math.random().toString(36).slice(2)}:`
  const lit = new Map<string, Lit>()
  let raised = 0

  /** Addresses are numbered, so the ones that are out need not be stored. */
  const isOut = (address: string): boolean => {
    const number = address.startsWith(prefix) ? Number(address.slice(prefix.length)) : 0
    return number >= 1 && number <= raised && !lit.has(address)
  }

  const putOut = (address: string): void => {
    const watchers = lit.get(address)?.watchers ?? []
    lit.delete(address)
    for (const tell of watchers) tell()
  }

  return {
    async raise(): Promise<RaisedBeacon> {
      raised += 1
      const address = `${prefix}${raised}`
      const lost = new Promise<void>((resolve) => {
        lit.set(address, { lose: resolve, watchers: new Set() })
      })
      return { address, lost, lower: () => putOut(address) }
    },
    watch: (address, signal) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason)
        if (isOut(address)) return resolve()
        const watchers = lit.get(address)?.watchers
        const tell = () => {
          signal.removeEventListener('abort', stop)
          resolve()
        }
        const stop = () => {
          watchers?.delete(tell)
          reject(signal.reason)
        }
        signal.addEventListener('abort', stop, { once: true })
        watchers?.add(tell)
      }),
    isOut: async (address) => isOut(address),
    kill: putOut,
    lose(address) {
      const beacon = lit.get(address)
      putOut(address)
      beacon?.lose()
    },
  }
}
