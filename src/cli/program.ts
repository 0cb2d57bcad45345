import { Argument, Command, Option } from 'commander'
import { version } from '../server/version.ts'
import { visible } from '../server/visible.ts'
import { logKinds } from '../server/wire.ts'
import { type Common, examples, jsonOption, parseCode, parseCount, parsePort, parseSignal, parseTime, storeOption } from './args.ts'
import type { AskOptions } from './ask.ts'
import type { BenchOptions } from './bench.ts'
import type { DemoOptions } from './demo.ts'
import { exitHelp } from './exit.ts'
import { addGuides } from './guides.ts'
import type { LogOptions } from './log.ts'
import type { LsOptions } from './ls.ts'
import type { RevokeOptions } from './revoke.ts'
import type { HoldOptions } from './run/hold.ts'
import type { RunOptions } from './run/run.ts'
import { beforeCommand } from './run/words.ts'
import { flags, typedOf } from './serve/settings.ts'
import type { ServeOptions } from './serve.ts'
import type { SweepOptions } from './sweep.ts'
import type { WatchOptions } from './watch.ts'

const times = '\nA <time> is a number with ms, s, m, h or d; without a unit it is in seconds.'

/**
 * The parser of the command line. Each command's file is loaded only when the command is used, since `run` has to start fast.
 * @param first the first word, if it is known: for `run`, the other commands are left out
 */
export function makeProgram(first?: string): Command {
  const program = new Command('storelock')
    .description('Locks in a SQLite file or at a lock server: run commands under them, look at them, and intervene.')
    .version(version)
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(`${visible(text.trimEnd()).replace(/\\n(?=\(Did you mean [^()]*\?\)$)/, '\n')}\n`) })
    .showHelpAfterError('(see --help)')
    .addHelpText(
      'after',
      `${exitHelp}\n${examples('storelock run backup -- ./backup.sh', 'storelock ls', 'storelock watch --store http://127.0.0.1:7420')}`,
    )
    .addHelpText(
      'after',
      '\nThe store is --store, else STORELOCK_STORE, else ./storelock.db. `user:` is a store of yours that is the same from everywhere. STORELOCK_SERVER_TOKEN is the token for a lock server.',
    )

  const command = (name: string, description: string, ...lines: readonly string[]): Command =>
    program
      .command(name)
      .description(description)
      .addOption(storeOption())
      .addHelpText('after', examples(...lines))
      .exitOverride()

  const run = command(
    'run',
    'run a command while holding a lock',
    'storelock run backup ./backup.sh --all',
    'storelock run backup --nonblock ./backup.sh || echo "it is already running"',
    'storelock run deploy --timeout 5m --store app.db make deploy',
  )
  const parse = run.parseOptions.bind(run)
  run.parseOptions = (args) => parse(beforeCommand(args, run.options))
  run
    .addArgument(new Argument('<key>', 'the name of the lock'))
    .addArgument(new Argument('<command...>', 'what to run; options of run come before it'))
    .addOption(new Option('-w, --timeout <time>', 'wait at most this long, then exit with 124').argParser(parseTime))
    .addOption(new Option('-n, --nonblock', 'do not wait for a live holder; exit with 1').conflicts(['timeout', 'stealAfterAsk']))
    .addOption(new Option('--if-no-queue', 'wait only if nobody else waits, else exit with 1').conflicts(['nonblock', 'stealAfterAsk']))
    .addOption(new Option('-E, --conflict-exit-code <n>', 'the exit code if the lock is not free, instead of 1 or 124').argParser(parseCode))
    .addOption(new Option('--shared', 'hold the lock together with other shared holders').conflicts('stealAfterAsk'))
    .addOption(
      new Option('--limit <n>', 'hold the lock together with up to n - 1 others that have the same limit')
        .argParser(parseCount)
        .conflicts(['shared', 'stealAfterAsk']),
    )
    .addOption(
      new Option('--duration <time>', 'the lock’s duration: about how long it stays held if run is killed or hangs')
        .argParser(parseTime)
        .default(10_000, '10s'),
    )
    .addOption(new Option('--max-hold <time>', 'end the command after this time').argParser(parseTime))
    .addOption(
      new Option('--grace <time>', 'time from TERM to KILL if the lock is lost; at most, and by default, a fifth of the duration').argParser(
        parseTime,
      ),
    )
    .addOption(new Option('--steal-after-ask <time>', 'ask the holder to release, and steal the lock after this time').argParser(parseTime))
    .addOption(new Option('--message <text>', 'what to tell the holder, with --steal-after-ask').default('please release'))
    .addOption(new Option('--on-ask <signal>', 'send this signal to the command when somebody asks for the lock').argParser(parseSignal))
    .addOption(new Option('--foreground', 'leave the command in the terminal’s foreground, for editors and password prompts'))
    .addOption(new Option('--label <text>', 'the holder’s label that others see'))
    .addOption(new Option('-v, --verbose', 'say who holds the lock, even if stderr is not a terminal, and tell each step with its time'))
    .addOption(new Option('--progress', 'while waiting, show the place in the queue, the holder and since when'))
    .addHelpText(
      'after',
      `\nThe command finds STORELOCK_KEY and STORELOCK_TOKEN, the fencing token, in its environment, and at a lock server STORELOCK_LOCK_TOKEN.\n${times}\n${exitHelp}`,
    )
    .action(async (key: string, words: string[], options: RunOptions) => {
      const { run } = await import('./run/run.ts')
      process.exitCode = await run(key, words, options)
    })

  // Making the other commands would take a few milliseconds.
  if (first === 'run') return program

  const holding = (name: string, description: string, ...lines: readonly string[]): Command =>
    command(name, description, ...lines)
      .addArgument(new Argument('<key>', 'the name of the lock'))
      .addOption(new Option('-w, --timeout <time>', 'wait at most this long, then exit with 124').argParser(parseTime))
      .addOption(new Option('-n, --nonblock', 'do not wait for a live holder; exit with 1').conflicts('timeout'))
      .addOption(new Option('--if-no-queue', 'wait only if nobody else waits, else exit with 1').conflicts('nonblock'))
      .addOption(new Option('-E, --conflict-exit-code <n>', 'the exit code if the lock is not free, instead of 1 or 124').argParser(parseCode))
      .addOption(new Option('--shared', 'hold the lock together with other shared holders'))
      .addOption(new Option('--duration <time>', 'the lock’s duration').argParser(parseTime).default(10_000, '10s'))
      .addOption(
        new Option('--on-lost <signal>', 'send this signal to the shell if the lock is lost').argParser(parseSignal).default('SIGTERM', 'TERM'),
      )
      .addOption(new Option('--label <text>', 'the holder’s label that others see'))
      .addOption(new Option('-v, --verbose', 'say who holds the lock, even if stderr is not a terminal'))
  const shell = (): Option => new Option('--pid <pid>', 'the process that holds the lock, instead of the one that calls this').argParser(parseCount)

  holding('lock', 'take a lock for the shell that calls this, until it ends or calls unlock', 'storelock lock backup --timeout 5m || exit')
    .addOption(shell())
    .action(async (key: string, options: HoldOptions) => (await import('./run/lock.ts')).lock(key, program.args.slice(1), options))

  command('unlock', 'release a lock that the shell has taken with lock', 'storelock unlock backup')
    .addArgument(new Argument('<key>', 'the name of the lock'))
    .addOption(shell())
    .action(async (...args: [string, Common & { readonly pid?: number }]) => (await import('./run/lock.ts')).unlock(...args))

  holding(
    'hold',
    'hold a lock for as long as somebody has the other end of the output open; it prints a line when it has the lock',
    'exec {lock}< <(storelock hold backup); read -r -u $lock || exit',
  )
    .addOption(shell().hideHelp())
    .action(async (...args: [string, HoldOptions]) => (await import('./run/hold.ts')).hold(...args))

  const looks = (name: string, description: string, ...lines: readonly string[]): Command =>
    command(name, description, ...lines).addOption(jsonOption())
  const key = (): Argument => new Argument('<key>', 'the name of the lock; @team/name is in the namespace team')
  const prefix = (): Argument => new Argument('[prefix]', 'only locks whose names start with this').default('', 'all')

  looks('ls', 'list the locks that somebody holds, waits for or pins', 'storelock ls', 'storelock ls /jobs/ --json')
    .addArgument(prefix())
    .addOption(new Option('-a, --all', 'also those that were used once and are free'))
    .action(async (...args: [string, LsOptions]) => (await import('./ls.ts')).ls(...args))

  looks('show', 'show one lock: who holds it, who waits, who pins it', 'storelock show backup')
    .addArgument(key())
    .action(async (...args: [string, Common]) => (await import('./show.ts')).show(...args))

  looks(
    'watch',
    'follow the locks until Ctrl-C: on a terminal a table, else a line for each change',
    'storelock watch',
    'storelock watch --json | jq .who',
  )
    .addArgument(prefix())
    .addOption(new Option('--interval <time>', 'time between two looks').argParser(parseTime).default(500, '500ms'))
    .action(async (...args: [string, WatchOptions]) => (await import('./watch.ts')).watch(...args))

  looks('log', 'print a lock server’s log, oldest entry first', 'storelock log --store http://127.0.0.1:7420 --kind refusal --since 1d')
    .addArgument(new Argument('[key]', 'only of this lock'))
    .addOption(new Option('--kind <kind>', 'only entries of this kind').choices(logKinds))
    .addOption(new Option('--since <time>', 'only entries no older than this').argParser(parseTime))
    .addOption(new Option('--limit <n>', 'at most this many entries').argParser(parseCount).default(100))
    .action(async (...args: [string | undefined, LogOptions]) => (await import('./log.ts')).log(...args))

  looks('ask', 'ask the holder of a lock to release, and wait until it does', 'storelock ask upload --message "a newer one waits" --timeout 1m')
    .addArgument(key())
    .addOption(new Option('-m, --message <text>', 'what to tell the holder').default('please release'))
    .addOption(new Option('-w, --timeout <time>', 'wait at most this long, then exit with 124').argParser(parseTime).default(30_000, '30s'))
    .action(async (...args: [string, AskOptions]) => (await import('./ask.ts')).ask(...args))

  looks('revoke', 'take a lock from its holders, alive or not', 'storelock revoke backup', 'storelock revoke backup --yes')
    .addArgument(key())
    .addOption(new Option('--holder <session>', 'only from this session, as `show` names it'))
    .addOption(new Option('-y, --yes', 'do not ask for confirmation'))
    .action(async (...args: [string, RevokeOptions]) => (await import('./revoke.ts')).revoke(...args))

  looks('expire', 'evict a holder that is silent for its whole lease; a live one keeps the lock', 'storelock expire backup')
    .addArgument(key())
    .action(async (...args: [string, Common]) => (await import('./expire.ts')).expire(...args))

  const entity = (): Argument => new Argument('<entity>', 'who pins it, such as a ticket or your name')
  looks('pin', 'protect the holder of a lock, present or future, from eviction', 'storelock pin backup "ticket 7"')
    .addArgument(key())
    .addArgument(entity())
    .action(async (...args: [string, string, Common]) => (await import('./pin.ts')).pin(...args))
  looks('unpin', 'remove a pin', 'storelock unpin backup "ticket 7"')
    .addArgument(key())
    .addArgument(entity())
    .action(async (...args: [string, string, Common]) => (await import('./pin.ts')).unpin(...args))

  looks('sweep', 'drop the records of locks that nobody uses any more', 'storelock sweep --older-than 30d')
    .addArgument(prefix())
    .addOption(new Option('--older-than <time>', 'only locks not granted or released for this long').argParser(parseTime).makeOptionMandatory())
    .action(async (...args: [string, SweepOptions]) => (await import('./sweep.ts')).sweep(...args))

  const serving = looks(
    'serve',
    'serve a SQLite file or a Postgres database over HTTP, until Ctrl-C',
    'storelock serve --store app.db --listen 127.0.0.1:7420',
    'storelock serve --config /etc/storelock.json --print-config',
  )
  for (const flag of flags()) serving.addOption(flag)
  serving
    .addOption(new Option('--config <file>', 'JSON file with settings; default STORELOCK_CONFIG'))
    .addOption(new Option('--print-config', 'print the effective settings, with the source of each'))
    .addHelpText('after', '\nEach setting can also be in the file of --config, or in a variable STORELOCK_…: --print-config shows all.')
    .action(async (options: ServeOptions) => (await import('./serve.ts')).serve(options, typedOf(serving)))

  looks('bench', 'measure a store on this machine', 'storelock bench --store app.db')
    .addOption(new Option('--time <time>', 'how long to acquire and release').argParser(parseTime).default(1_000, '1s'))
    .addOption(new Option('--handoffs <n>', 'how many hand-offs to a second process').argParser(parseCount).default(200))
    .addOption(new Option('--partner <name>').hideHelp())
    .action(async (options: BenchOptions) => (await import('./bench.ts')).bench(options))

  looks('doctor', 'check a store, and say what to fix; exits with 1 if something is wrong', 'storelock doctor --store app.db').action(
    async (options: Common) => (await import('./doctor/doctor.ts')).doctor(options),
  )

  program
    .command('demo')
    .description('serve a page in which tabs take a lock and you try to break it, until Ctrl-C')
    .addOption(new Option('--port <n>', 'serve it on this port instead of a free one').argParser(parsePort).default(0, 'a free one'))
    .addOption(jsonOption())
    .addHelpText('after', examples('storelock demo'))
    .exitOverride()
    .action(async (options: DemoOptions) => (await import('./demo.ts')).demo(options))
  addGuides(program)
  return program
}
