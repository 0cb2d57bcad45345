import { Argument, Command, Option } from 'commander'
import { version } from '../server/version.ts'
import { logKinds } from '../server/wire.ts'
import { type Common, jsonOption, parseCode, parseCount, parseSignal, parseTime, storeOption } from './args.ts'
import type { AskOptions } from './ask.ts'
import type { BenchOptions } from './bench.ts'
import { exitCodes, exitHelp } from './exit.ts'
import type { LogOptions } from './log.ts'
import type { LsOptions } from './ls.ts'
import type { RevokeOptions } from './revoke.ts'
import type { RunOptions } from './run/run.ts'
import { flags, typedOf } from './serve/settings.ts'
import type { ServeOptions } from './serve.ts'
import type { SweepOptions } from './sweep.ts'
import type { WatchOptions } from './watch.ts'

const examples = (...lines: readonly string[]): string => `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`

const times = '\nA <time> is a number with ms, s, m, h or d; without a unit it is in seconds.'

/** What is typed, and for each command the file that does it: loaded only then, since `run` has to start fast. */
export function makeProgram(): Command {
  const program = new Command('storelock')
    .description('Locks in a SQLite file or at a lock server: run commands under them, see them, and step in.')
    .version(version)
    .enablePositionalOptions()
    .exitOverride()
    .showHelpAfterError('(see --help)')
    .addHelpText(
      'after',
      `${exitHelp}\n${examples('storelock run backup -- ./backup.sh', 'storelock ls', 'storelock watch --store http://127.0.0.1:7420')}`,
    )
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
    .addOption(new Option('--if-no-queue', 'wait only if nobody else waits, else exit with 1').conflicts(['nonblock', 'stealAfterAsk']))
    .addOption(
      new Option('-E, --conflict-exit-code <n>', 'exit with this instead, with --nonblock or --if-no-queue')
        .argParser(parseCode)
        .default(exitCodes.no),
    )
    .addOption(new Option('--shared', 'hold it together with other shared holders').conflicts('stealAfterAsk'))
    .addOption(
      new Option('--duration <time>', 'how long the lock outlives a run that was killed or hangs').argParser(parseTime).default(10_000, '10s'),
    )
    .addOption(new Option('--max-hold <time>', 'end the command once it has run for so long').argParser(parseTime))
    .addOption(
      new Option('--grace <time>', 'from TERM to KILL, if the lock is lost; at most, and by default, a fifth of the duration').argParser(parseTime),
    )
    .addOption(new Option('--steal-after-ask <time>', 'ask the holder to let go, and take the lock from it after this').argParser(parseTime))
    .addOption(new Option('--message <text>', 'what to say to the holder, with --steal-after-ask').default('please let go'))
    .addOption(new Option('--on-ask <signal>', 'send this to the command when somebody asks for the lock').argParser(parseSignal))
    .addOption(new Option('--foreground', 'leave the command in the terminal’s foreground: for editors and password prompts'))
    .addOption(new Option('--label <text>', 'what others see of the holder'))
    .addOption(new Option('-v, --verbose', 'say who holds the lock, even if stderr is no terminal'))
    .addHelpText(
      'after',
      `\nThe command finds STORELOCK_KEY and STORELOCK_TOKEN, the fencing token, in its environment, and at a lock server STORELOCK_LOCK_TOKEN.\n${times}\n${exitHelp}`,
    )
    .action(async (key: string, words: string[], options: RunOptions) => {
      const { run } = await import('./run/run.ts')
      process.exitCode = await run(key, words, options)
    })

  const looks = (name: string, description: string, ...lines: readonly string[]): Command =>
    command(name, description, ...lines).addOption(jsonOption())
  const key = (): Argument => new Argument('<key>', 'the name of the lock; @team/name is one of the namespace team')
  const prefix = (): Argument => new Argument('[prefix]', 'only locks whose names start so').default('', 'all')

  looks('ls', 'list the locks that somebody holds, wants or pins', 'storelock ls', 'storelock ls /jobs/ --json')
    .addArgument(prefix())
    .addOption(new Option('-a, --all', 'also those that were used once and are free'))
    .action(async (...args: [string, LsOptions]) => (await import('./ls.ts')).ls(...args))

  looks('show', 'show one lock: who holds it, who waits, who pins it', 'storelock show backup')
    .addArgument(key())
    .action(async (...args: [string, Common]) => (await import('./show.ts')).show(...args))

  looks(
    'watch',
    'follow the locks until Ctrl-C: a table, or off a terminal a line for each change',
    'storelock watch',
    'storelock watch --json | jq .who',
  )
    .addArgument(prefix())
    .addOption(new Option('--interval <time>', 'between two looks').argParser(parseTime).default(500, '500ms'))
    .action(async (...args: [string, WatchOptions]) => (await import('./watch.ts')).watch(...args))

  looks('log', 'print what a lock server has noted, the oldest first', 'storelock log --store http://127.0.0.1:7420 --kind refusal --since 1d')
    .addArgument(new Argument('[key]', 'only of this lock'))
    .addOption(new Option('--kind <kind>', 'only entries of this kind').choices(logKinds))
    .addOption(new Option('--since <time>', 'only entries no older than this').argParser(parseTime))
    .addOption(new Option('--limit <n>', 'at most so many').argParser(parseCount).default(100))
    .action(async (...args: [string | undefined, LogOptions]) => (await import('./log.ts')).log(...args))

  looks('ask', 'ask the holder of a lock to let go, and wait until it does', 'storelock ask upload --message "a newer one waits" --timeout 1m')
    .addArgument(key())
    .addOption(new Option('-m, --message <text>', 'what to say').default('please let go'))
    .addOption(new Option('-w, --timeout <time>', 'wait no longer than this, then exit with 124').argParser(parseTime).default(30_000, '30s'))
    .action(async (...args: [string, AskOptions]) => (await import('./ask.ts')).ask(...args))

  looks('revoke', 'take a lock from its holders, alive or not', 'storelock revoke backup', 'storelock revoke backup --yes')
    .addArgument(key())
    .addOption(new Option('--holder <session>', 'only from this session, as `show` names it'))
    .addOption(new Option('-y, --yes', 'do not ask'))
    .action(async (...args: [string, RevokeOptions]) => (await import('./revoke.ts')).revoke(...args))

  looks('expire', 'evict a holder that is silent for its whole lease; a live one keeps the lock', 'storelock expire backup')
    .addArgument(key())
    .action(async (...args: [string, Common]) => (await import('./expire.ts')).expire(...args))

  const entity = (): Argument => new Argument('<entity>', 'who wants it so, such as a ticket or your name')
  looks('pin', 'keep the holder of a lock, present or future, even if it is silent', 'storelock pin backup "ticket 7"')
    .addArgument(key())
    .addArgument(entity())
    .action(async (...args: [string, string, Common]) => (await import('./pin.ts')).pin(...args))
  looks('unpin', 'take a pin back', 'storelock unpin backup "ticket 7"')
    .addArgument(key())
    .addArgument(entity())
    .action(async (...args: [string, string, Common]) => (await import('./pin.ts')).unpin(...args))

  looks('sweep', 'drop the records of locks that nobody uses any more', 'storelock sweep --older-than 30d')
    .addArgument(prefix())
    .addOption(new Option('--older-than <time>', 'that nobody was granted for so long').argParser(parseTime).makeOptionMandatory())
    .action(async (...args: [string, SweepOptions]) => (await import('./sweep.ts')).sweep(...args))

  const serving = looks(
    'serve',
    'serve a SQLite store over HTTP, until Ctrl-C',
    'storelock serve --store app.db --listen 127.0.0.1:7420',
    'storelock serve --config /etc/storelock.json --print-config',
  )
  for (const flag of flags()) serving.addOption(flag)
  serving
    .addOption(new Option('--config <file>', 'JSON with what no flag and no variable says; else STORELOCK_CONFIG'))
    .addOption(new Option('--print-config', 'print what it would be started with, and where each of it comes from'))
    .addHelpText('after', '\nEach of these stands in the file of --config by its name, or in STORELOCK_…: --print-config shows all.')
    .action(async (options: ServeOptions) => (await import('./serve.ts')).serve(options, typedOf(serving)))

  looks('bench', 'measure a store on this machine', 'storelock bench --store app.db')
    .addOption(new Option('--time <time>', 'how long to take and release').argParser(parseTime).default(1_000, '1s'))
    .addOption(new Option('--handoffs <n>', 'how often to hand over to a second process').argParser(parseCount).default(200))
    .addOption(new Option('--partner <name>').hideHelp())
    .action(async (options: BenchOptions) => (await import('./bench.ts')).bench(options))

  looks('doctor', 'check a store, and say what to mend; exits with 1 if something is wrong', 'storelock doctor --store app.db').action(
    async (options: Common) => (await import('./doctor/doctor.ts')).doctor(options),
  )

  return program
}
