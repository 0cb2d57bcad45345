/** The longest name that the handle shape accepts, in bytes of UTF-8. */
export const maxNameBytes = 1024

/**
 * A hierarchical key: `/` before each part, each part escaped, so that no two lists of parts share a key.
 * A plain string, to be used as a lock's name or stored in a database.
 *
 * @example formatKey(['module', 'idv', 'a/b']) // '/module/idv/a%2Fb'
 * @throws TypeError if there is no part, or one is empty, not a string or not well-formed Unicode
 * @see {@link parseKey}, its inverse
 */
export function formatKey(parts: readonly string[]): string {
  if (!parts.length) throw new TypeError('a key needs at least one part')
  return parts.map((part) => `/${escapePart(part)}`).join('')
}

/** The parts of a key made by {@link formatKey}. @throws TypeError for any other string */
export function parseKey(key: string): string[] {
  const parts = key.split('/').slice(1).map(unescapePart)
  if (!parts.length || formatKey(parts) !== key) throw new TypeError(`${JSON.stringify(key)} is not a hierarchical key such as "/module/name"`)
  return parts
}

/** A key of a module's own: `moduleKey('idv', 'user', 'bob')` is `/module/idv/user/bob`. */
export const moduleKey = (module: string, ...parts: readonly string[]): string => formatKey(['module', module, ...parts])

/** A key of the system's: `systemKey('runner', 'eu-1')` is `/system/runner/eu-1`. */
export const systemKey = (...parts: readonly [string, ...string[]]): string => formatKey(['system', ...parts])

/** Whether a string is well-formed Unicode, without lone surrogates. */
const isWellFormed = (text: string): boolean => !/\p{Surrogate}/u.test(text)

function escapePart(part: string): string {
  if (typeof part !== 'string' || !part || !isWellFormed(part)) {
    throw new TypeError(`a key's part must be a non-empty, well-formed string, not ${JSON.stringify(part)}`)
  }
  return encodeURIComponent(part)
}

function unescapePart(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return ''
  }
}

/** Why a name is not allowed in the handle shape; `undefined` if it is. */
export function nameFault(name: string): string | undefined {
  if (!name) return 'is empty'
  if (name.includes('\0')) return 'has a NUL character'
  if (!isWellFormed(name)) return 'has a lone surrogate, so it is not well-formed Unicode'
  // A UTF-16 code unit takes three bytes at most, so only long names have to be measured.
  const bytes = name.length * 3 > maxNameBytes ? new TextEncoder().encode(name).length : 0
  return bytes > maxNameBytes ? `is longer than ${maxNameBytes} bytes (it has ${bytes})` : undefined
}

/**
 * The key under which a store keeps a name: the name itself if that is safe, else `@`, the namespace, `/` and the name. A name that stores might
 * refuse, or that begins with `@`, is escaped and gets another `@` in front. Names of different namespaces, and names that only Web Locks allow,
 * never share a key.
 * @param isFaulty whether {@link nameFault} has found a fault
 */
export function storedKey(namespace: string, name: string, isFaulty: boolean = nameFault(name) !== undefined): string {
  const strange = isFaulty || name.startsWith('@')
  if (!namespace && !strange) return name
  return `@${encodeURIComponent(namespace)}/${strange ? `@${escapeUnits(name)}` : name}`
}

/** The prefix of a namespace's keys; '' for the default namespace, whose keys have no common prefix. */
export const keyPrefix = (namespace: string): string => (namespace ? `@${encodeURIComponent(namespace)}/` : '')

/** The inverse of {@link storedKey}. */
export function storedName(key: string): { readonly namespace: string; readonly name: string } {
  const [, namespace = '', strange, name = ''] = /^@([^/]*)\/(@?)(.*)$/su.exec(key) ?? [key, '', '', key]
  return { namespace: unescapePart(namespace), name: strange ? unescapeUnits(name) : name }
}

/** Escapes code units that stores or encodings would refuse or change, as `%` and four hexadecimal digits. */
const escapeUnits = (name: string): string => name.replace(/[%\0]|\p{Surrogate}/gu, (unit) => `%${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

const unescapeUnits = (name: string): string => name.replace(/%([0-9a-f]{4})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
