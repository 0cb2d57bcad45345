/** etcd's JSON has all bytes in base64. */
export const encode = (text: string | Uint8Array): string => Buffer.from(text as string).toString('base64')
export const decode = (text: string | undefined): string => Buffer.from(text ?? '', 'base64').toString()

/** The end of the range of all keys that start with a text, which must not be empty. */
export function rangeEnd(prefix: string): string {
  const bytes = Buffer.from(prefix)
  // No byte of UTF-8 is 255.
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) + 1
  return bytes.toString('base64')
}

/** @throws TypeError unless it is the URL of a member */
export function memberUrl(url: string): string {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url))
    throw new TypeError(`etcdStore needs the URLs of members, such as http://127.0.0.1:2379, not ${String(url).replace(/\/\/[^/]*@/, '//…@')}`)
  const { username, password, origin } = new URL(url)
  if (username || password) throw new TypeError('a URL with a password in it would be shown in errors: give `username` and `password` as options')
  return origin
}
