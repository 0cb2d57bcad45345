import { Argument, type Command } from 'commander'
import { version } from '../server/version.ts'
import { examples } from './args.ts'

/** Adds the commands that explain the others: completion, manual and help. */
export function addGuides(program: Command): void {
  program
    .command('completion')
    .description('print the script that completes commands, options and keys in your shell')
    .addArgument(new Argument('<shell>').choices(['bash', 'zsh', 'fish', 'words']).argRequired())
    .addArgument(new Argument('[words...]', 'with `words`: print what may follow these'))
    .addHelpText('after', examples('eval "$(storelock completion bash)"', 'storelock completion fish | source'))
    .exitOverride()
    .action(async (shell: string, words: string[]) => (await import('./completion.ts')).completion(program, shell, words))
  program
    .command('man')
    .description('print the manual page')
    .addHelpText('after', examples('storelock man | man -l -'))
    .exitOverride()
    .action(async () => (await import('./manual.ts')).printManual(program, version))

  program
    .helpCommand(false)
    .command('help')
    .description('show what a command does')
    .argument('[command]')
    .action((name: string | undefined) => {
      const found = name === undefined ? program : program.commands.find((each) => each.name() === name)
      if (!found) program.error(`error: unknown command '${name}'`)
      else found.help()
    })
}
