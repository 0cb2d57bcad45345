import { Argument, Command, Option } from 'commander'
import { jsonOption, parseCode, parseSignal, parseTime, storeOption } from './args.ts'
import { exitCodes, exitHelp } from './exit.ts'
import type { RunOptions } from './run/run.ts'

const examples = (...lines: readonly string[]): string => `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`

const times = '\nA <time> is a number with ms, s, m, h or d; without a unit it is in seconds.'

/** What is typed, and for each command the file that does it: loaded only then, since `run` has to start fast. */
export function makeProgram(): Command {
  const program = new Command('storelock')
    .description('Locks in a SQLite file or at a lock server: run commands under them, see them, and step in.')
    .enablePositionalOptions()
    .exitOverride()
    .showHelpAfterError('(see --help)')
    .addHelpText('after', `${exitHelp}\n${examples('storelock run backup -- ./backup.sh', 'storelock ls', 'storelock watch --store http://127.0.0.1:7420')}`)
    .addHelpText('after', '\nThe store is --store, else STORELOCK_STORE, else ./storelock.db. A lock server may ask for STORELOCK_SERVER_TOKEN.')

  const command = (name: string, description: string, ...lines: readonly string[]): Command =>
    program
      .command(name)
      .description(description)
      .addOption(storeOption())
      .addHelpText('after', examples(...lines))
      .exitOverride()

  command(
    'run',
    'run a command while holding a lock',
    'storelock run backup -- ./backup.sh --all',
    'storelock run backup --nonblock -- ./backup.sh || echo "it runs already"',
    'storelock run deploy --timeout 5m --store app.db -- make deploy',
  )
    .addArgument(new Argument('<key>', 'the name of the lock'))
    .addArgument(new Argument('<command...>', 'what to run, after --'))
    .addOption(new Option('-w, --timeout <time>', 'wait no longer than this, then exit with 124').argParser(parseTime))
    .addOption(new Option('-n, --nonblock', 'do not wait for a live holder; exit with 1').conflicts(['timeout', 'stealAfterAsk']))
    .addOption(new Option('-E, --conflict-exit-code <n>', 'exit with this instead, with --nonblock').argParser(parseCode).default(exitCodes.no))
    .addOption(new Option('--shared', 'hold it together with other shared holders').conflicts('stealAfterAsk'))
    .addOption(new Option('--duration <time>', 'how long the lock outlives a run that was killed or hangs').argParser(parseTime).default(10_000, '10s'))
    .addOption(new Option('--grace <time>', 'from TERM to KILL, if the lock is lost; at most, and by default, a fifth of the duration').argParser(parseTime))
    .addOption(new Option('--steal-after-ask <time>', 'ask the holder to let go, and take the lock from it after this').argParser(parseTime))
    .addOption(new Option('--message <text>', 'what to say to the holder, with --steal-after-ask').default('please let go'))
    .addOption(new Option('--on-ask <signal>', 'send this to the command when somebody asks for the lock').argParser(parseSignal))
    .addOption(new Option('--foreground', 'leave the command in the terminal’s foreground: for editors and password prompts'))
    .addOption(new Option('--label <text>', 'what others see of the holder'))
    .addOption(new Option('-v, --verbose', 'say who holds the lock, even if stderr is no terminal'))
    .addHelpText('after', `\nThe command finds STORELOCK_KEY and STORELOCK_TOKEN, the fencing token, in its environment.\n${times}\n${exitHelp}`)
    .action(async (key: string, words: string[], options: RunOptions) => {
      const { run } = await import('./run/run.ts')
      process.exitCode = await run(key, words, options)
    })

  void jsonOption
  return program
}
