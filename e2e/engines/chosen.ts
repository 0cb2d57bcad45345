import { type EngineName, engineNames } from './engine.ts'

export interface Choice {
  readonly chosen: readonly EngineName[]
  readonly leftOut: readonly EngineName[]
  /** Why some are left out. */
  readonly reason: string
}

/**
 * The engines that tests run in: those that `STORELOCK_ENGINES` names, else all that exist on this system.
 * @throws RangeError if it names none, or one that we do not know
 */
export function chooseEngines(named = process.env.STORELOCK_ENGINES, system: string = process.platform): Choice {
  if (named === undefined) {
    const here = (name: EngineName): boolean => name !== 'webkit' || system === 'linux'
    return choice(here, 'WebKitGTK, which tests drive, runs on Linux only')
  }
  const names = named.split(',').map((name) => name.trim())
  const unknown = names.filter((name) => !engineNames.some((known) => known === name))
  if (unknown.length) {
    throw new RangeError(`STORELOCK_ENGINES is "${named}". Name one or more of ${engineNames.join(', ')}, with commas between, or unset it.`)
  }
  return choice((name) => names.includes(name), `STORELOCK_ENGINES is ${named}`)
}

const choice = (chooses: (name: EngineName) => boolean, reason: string): Choice => ({
  chosen: engineNames.filter(chooses),
  leftOut: engineNames.filter((name) => !chooses(name)),
  reason,
})
