import type { Option } from 'commander'

/** Puts `--` before the second word that is not an option, so that the command of `run KEY COMMAND` keeps its own options. */
export function beforeCommand(args: readonly string[], options: readonly Option[]): string[] {
  let words = 0
  for (let at = 0; at < args.length; at++) {
    const word = args[at] as string
    if (word === '--') break
    if (word.startsWith('-') && word !== '-') {
      if (takesNext(word, options)) at++
    } else if (++words === 2) return [...args.slice(0, at), '--', ...args.slice(at)]
  }
  return [...args]
}

/** Whether the value of an option is the next word. */
function takesNext(word: string, options: readonly Option[]): boolean {
  if (word.startsWith('--')) return options.some(({ long, required }) => required && long === word)
  // Of several letters in one word, the last may take the next word as its value; for an earlier letter, the rest of the word is its value.
  for (let at = 1; at < word.length; at++) {
    if (options.some(({ short, required }) => required && short === `-${word[at]}`)) return at === word.length - 1
  }
  return false
}
