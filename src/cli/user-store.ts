import { mkdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, isAbsolute, join } from 'node:path'
import { InvalidArgumentError } from 'commander'

/** The folder for this user's persistent program state. A relative `XDG_STATE_HOME` does not count, as its specification says. */
export function stateFolder(platform: string = process.platform, env: NodeJS.ProcessEnv = process.env, home = homedir()): string {
  const { XDG_STATE_HOME: chosen, LOCALAPPDATA: local } = env
  if (chosen && isAbsolute(chosen)) return chosen
  if (platform === 'win32') return local || join(home, 'AppData', 'Local')
  return platform === 'darwin' ? join(home, 'Library', 'Application Support') : join(home, '.local', 'state')
}

const userFolder = (): string => join(stateFolder(), 'storelock')

/**
 * The path of a store of this user, the same from everywhere: `user:`, or `user:NAME` for another one. Undefined for any other place.
 * @throws InvalidArgumentError if the name could lead out of the folder
 */
export function userStore(place: string): string | undefined {
  const [, name] = /^user:(.*)$/s.exec(place) ?? []
  if (name === undefined) return undefined
  if (!/^(\w[\w.-]*)?$/.test(name))
    throw new InvalidArgumentError('It is user: or user:NAME, and a NAME has letters, digits, dots, dashes and underscores.')
  return join(userFolder(), `${name || 'storelock'}.db`)
}

/** Makes the folder of this user's stores, if the path is in it. */
export function makeUserFolder(path: string): void {
  if (dirname(path) === userFolder()) mkdirSync(userFolder(), { recursive: true, mode: 0o700 })
}
