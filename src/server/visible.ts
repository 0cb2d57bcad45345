/** Characters that a terminal or a log viewer might obey, or not show: control and format characters, line separators and lone surrogates. */
const obeyed = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu
/** Emojis and some scripts are written with these, which join two characters or keep them apart. */
const joiners: readonly string[] = ['\u200c', '\u200d']

/**
 * Makes text from clients, such as a key or a label, safe to show on one line: characters that a terminal would obey are escaped as in JSON. A JSON
 * document stays the same document.
 */
export const visible = (text: string): string => text.replace(obeyed, (char) => (joiners.includes(char) ? char : escaped(char)))

function escaped(char: string): string {
  const short = JSON.stringify(char).slice(1, -1)
  if (short !== char) return short
  return Array.from({ length: char.length }, (_, unit) => `\\u${char.charCodeAt(unit).toString(16).padStart(4, '0')}`).join('')
}
