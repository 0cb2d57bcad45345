/** What a terminal or a reader of logs might obey, or not show: control and format characters, separators of lines, and halves of characters. */
const obeyed = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu
/** Emojis and some scripts are written with these, which join two characters or keep them apart. */
const joiners: readonly string[] = ['\u200c', '\u200d']

/**
 * Text of others, such as a key or a label, on one line on which it cannot be taken for anything else: the characters that a terminal would obey are
 * shown as in JSON. So a document in JSON stays the same document.
 */
export const visible = (text: string): string => text.replace(obeyed, (char) => (joiners.includes(char) ? char : escaped(char)))

function escaped(char: string): string {
  const short = JSON.stringify(char).slice(1, -1)
  if (short !== char) return short
  return Array.from({ length: char.length }, (_, unit) => `\\u${char.charCodeAt(unit).toString(16).padStart(4, '0')}`).join('')
}
