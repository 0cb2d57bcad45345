/** The deepest nesting allowed in a body: deeper than any valid body. */
const deepest = 100
/** Shorter bodies are parsed in no time, however deep they are. */
const short = 4_096

const [quote, backslash] = [0x22, 0x5c]
const opening = new Set([0x5b, 0x7b])
const closing = new Set([0x5d, 0x7d])

/**
 * Whether a text that may be JSON is nested so deep that parsing it would block the server: brackets alone take a hundred times as long to parse as
 * text.
 */
export function isTooDeep(text: string): boolean {
  if (text.length <= short) return false
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === quote) at = endOfString(text, at + 1)
    else if (opening.has(code)) {
      if (++depth > deepest) return true
    } else if (closing.has(code)) depth--
  }
  return false
}

/** Where the string that begins here ends. */
function endOfString(text: string, from: number): number {
  for (let at = text.indexOf('"', from); at >= 0; at = text.indexOf('"', at + 1)) {
    let before = at
    while (text.charCodeAt(before - 1) === backslash && before > from) before--
    if ((at - before) % 2 === 0) return at
  }
  return text.length
}

export const tooDeep = `the body is nested more than ${deepest} deep`
