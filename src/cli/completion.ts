import type { Argument, Command, Option } from 'commander'
import { visible } from '../server/visible.ts'
import { Exit, exitCodes } from './exit.ts'
import { withLook } from './look.ts'
import { keyOf } from './store.ts'
import { userStore } from './user-store.ts'

/** The scripts ask this program itself for the candidates, so they never get out of date. If it ends with 1, a file or a command may follow. */
const scripts: Readonly<Record<string, string>> = {
  bash: `_storelock() {
  local line=\${COMP_LINE:0:COMP_POINT} cut='' part char candidates
  local -a words
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  local current=\${words[\${#words[@]} - 1]}
  # Bash completes only what follows such a character.
  for char in : = @; do
    [[ $COMP_WORDBREAKS == *$char* && $current == *$char* ]] || continue
    part=\${current%"\${current##*"$char"}"}
    ((\${#part} > \${#cut})) && cut=$part
  done
  candidates=$(storelock completion words -- "\${words[@]:1}" 2>/dev/null) || return
  while IFS=$'\\t' read -r line _; do
    [[ $line ]] && COMPREPLY+=("$(printf %q "\${line#"$cut"}")")
  done <<<"$candidates"
}
complete -o bashdefault -o default -F _storelock storelock`,
  zsh: `#compdef storelock
_storelock() {
  local line candidates
  local -a described
  candidates=$(storelock completion words -- "\${(@)words[2,CURRENT]}" 2>/dev/null) || { _files; return }
  for line in "\${(@f)candidates}"; do
    [[ -n $line ]] && described+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  _describe storelock described
}
if [[ $funcstack[1] == _storelock ]]; then _storelock "$@"; else compdef _storelock storelock; fi`,
  fish: `function __storelock_complete
  storelock completion words -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null
  or __fish_complete_path (commandline -ct)
end
complete -c storelock -f -a '(__storelock_complete)'`,
}

/** Prints the script by which a shell completes our command line; or, for these scripts, the candidates after some words. */
export async function completion(program: Command, shell: string, words: readonly string[]): Promise<void> {
  if (shell !== 'words') {
    process.stdout.write(`${scripts[shell]}\n`)
    return
  }
  const found = await candidates(program, words)
  // A file may follow.
  if (!found) throw new Exit(exitCodes.no)
  // Leaves out words with characters that a terminal would obey: the shell would type them.
  for (const [word, help] of found) if (visible(word) === word) process.stdout.write(`${word}\t${visible(help)}\n`)
}

type Candidate = readonly [word: string, help: string]

/** The candidates after some words; undefined if the shell has to complete, because a file or a command may follow. */
export async function candidates(program: Command, words: readonly string[]): Promise<readonly Candidate[] | undefined> {
  const typed = words.slice(0, -1)
  const last = words.at(-1) ?? ''
  const starting = (found: readonly Candidate[]): Candidate[] => found.filter(([word]) => word.startsWith(last))
  const command = program.commands.find((each) => each.name() === typed[0])
  if (!command) return typed.length ? [] : starting(last.startsWith('-') ? optionsOf(program) : commandsOf(program))
  const { option, values, ended, place } = parse(command, typed.slice(1))
  if (option) return option.argChoices ? starting(option.argChoices.map((choice) => [choice, ''])) : isFile(option) ? undefined : []
  if (last.startsWith('-') && !ended) return starting(optionsOf(command))
  const argument = command.registeredArguments[values.length]
  // The command of a `run`.
  if (!argument || argument.variadic) return command.registeredArguments.at(-1)?.variadic ? undefined : []
  return starting(await valuesOf(program, argument, values, place))
}

const commandsOf = (program: Command): Candidate[] => visibleCommands(program).map((each) => [each.name(), each.description()])

/** The commands that help shows. */
export const visibleCommands = (program: Command): readonly Command[] => program.createHelp().visibleCommands(program)

const optionsOf = (command: Command): Candidate[] =>
  command
    .createHelp()
    .visibleOptions(command)
    .map((option) => [option.long ?? option.short ?? '', option.description])

/** Whether a file may be the value of an option. */
const isFile = ({ flags }: Option): boolean => /<(file|place|key|cert)>|--tls|--store/.test(flags)

/** Parses the words after a command. @returns the option that still needs its value, the arguments, whether `--` was typed, and the store */
function parse(command: Command, typed: readonly string[]) {
  let option: Option | undefined
  let ended = false
  let place: string | undefined
  const values: string[] = []
  for (const word of typed) {
    if (option) {
      if (option.long === '--store') place = userStore(word) ?? word
      option = undefined
    } else if (word === '--' && !ended) ended = true
    else if (word.startsWith('-') && !ended) {
      const found = command.options.find(({ long, short }) => word === long || word === short)
      if (found && (found.required || found.optional)) option = found
      else if (word.startsWith('--store=')) place = word.slice('--store='.length)
    } else values.push(word)
  }
  return { option, values, ended, place: place ?? (userStore(process.env.STORELOCK_STORE ?? '') || process.env.STORELOCK_STORE || './storelock.db') }
}

async function valuesOf(program: Command, argument: Argument, values: readonly string[], place: string): Promise<Candidate[]> {
  if (argument.argChoices) return argument.argChoices.map((choice) => [choice, ''])
  switch (argument.name()) {
    case 'key':
    case 'prefix':
      return await withLook(place, async (look) =>
        (await look.list('', { busy: true })).map(({ key, holders }) => [key, holders.length ? 'held' : '']),
      )
    case 'entity':
      return await withLook(place, async (look) => ((await look.read(keyOf(values[0] ?? '')))?.pins ?? []).map((pin) => [pin, 'pins it']))
    case 'command':
      return commandsOf(program)
    default:
      return []
  }
}
