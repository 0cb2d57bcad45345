import type { Command, Option } from 'commander'
import { visible } from '../server/visible.ts'
import { visibleCommands } from './completion.ts'
import { print } from './output.ts'

/** Escapes a text so that roff sees no command in it. */
const roff = (text: string): string =>
  visible(text)
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/[^ -~]/gu, (char) => `\\[u${char.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}]`)
    .replace(/^([.'])/, '\\&$1')

function manual(program: Command, version: string): string[] {
  const help = program.createHelp()
  const list = (options: readonly Option[]): string[] =>
    options.flatMap((option) => ['.TP', `.B ${roff(option.flags)}`, roff(help.optionDescription(option))])
  return [
    `.TH STORELOCK 1 "" "storelock ${version}" "User Commands"`,
    // No hyphenation: readers would take the hyphens for parts of options.
    '.nh',
    '.ad l',
    '.SH NAME',
    `storelock \\- ${roff(program.description().replace(/\.$/, ''))}`,
    '.SH SYNOPSIS',
    ...visibleCommands(program).flatMap((command) => [`.B storelock ${roff(command.name())}`, roff(command.usage()), '.br']),
    '.SH COMMANDS',
    ...visibleCommands(program).flatMap((command) => [
      `.SS ${roff(`${command.name()} ${command.usage()}`)}`,
      roff(command.description()),
      ...list(help.visibleOptions(command)),
      ...textAfter(command),
    ]),
    '.SH NOTES',
    ...textAfter(program),
  ]
}

/** The text that `--help` adds at its end, unchanged. */
function textAfter(command: Command): string[] {
  let text = ''
  // Commander has no method that returns this text, so it is caught while it is printed.
  const output = command.configureOutput()
  const keep = (part: string): void => {
    text += part
  }
  command.configureOutput({ writeOut: keep })
  command.outputHelp()
  command.configureOutput(output)
  const after = text.slice(text.indexOf(command.helpInformation()) + command.helpInformation().length).trim()
  return after ? ['.PP', '.nf', ...after.split('\n').map(roff), '.fi'] : []
}

export const printManual = (program: Command, version: string): void => {
  for (const line of manual(program, version)) print(line)
}
