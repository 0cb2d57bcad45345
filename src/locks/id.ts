/** A random id, short enough to be in every record that names it. Never reused. */
export const newId = (): string => Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => (byte % 36).toString(36)).join('')
