import { type Command, Option } from 'commander'
import { limitDefaults } from '../../server/options.ts'
import { reportLevels } from '../../server/report.ts'

/** The kind of a setting: a `time` is in ms once it has been read; a `yes` is true or false. */
type Kind = 'text' | 'file' | 'list' | 'count' | 'time' | 'choice' | 'yes' | 'policies'

/** A setting of `serve`: a flag, an environment variable, and a name in the file. */
export interface Setting {
  /** Its name in the file: `limits.held` is the `held` of `limits`. */
  readonly name: string
  readonly kind: Kind
  readonly help: string
  /** Its default, in the form of the file. */
  readonly default?: string | number | boolean
  readonly choices?: readonly string[]
  /** Its flag, if it is not made of the name. */
  readonly flag?: string
}

/** The values of the flags that were typed, by the names of settings: a text, or several texts for a list. */
export type Typed = Readonly<Record<string, string | readonly string[] | undefined>>

/** What each limit limits; see docs/lock-server.md. */
const limits: Readonly<Record<keyof typeof limitDefaults, string>> = {
  body: 'bytes of a request’s body',
  headers: 'bytes of a request’s headers',
  batch: 'commands in a batch',
  held: 'locks that a credential holds',
  waiters: 'places of a credential in queues',
  metadata: 'bytes of a credential’s metadata',
  record: 'bytes of metadata in the record of one lock',
  sessions: 'sessions of a credential',
  keys: 'new keys of a credential',
  senders: 'stores of a credential',
  topics: 'topics of a credential',
  sockets: 'topics of a credential with a socket',
  pending: 'unanswered requests of a credential',
  traffic: 'bytes of a credential’s pending requests and answers',
  answer: 'bytes of an answer',
  rate: 'requests of a credential a second',
  connections: 'connections',
  perAddress: 'connections of an address',
  streams: 'event streams of a credential',
  pipelined: 'unanswered requests of a connection',
  requestTimeout: 'how long a request may take to arrive',
  buffer: 'unread bytes of an event stream',
}

/** All settings, in the order in which they are listed. */
export const settings: readonly Setting[] = [
  { name: 'store', kind: 'file', default: './storelock.db', help: 'the SQLite file, or the address of a Postgres database' },
  { name: 'listen', kind: 'text', default: '127.0.0.1:7420', help: 'a port, or an address and a port' },
  { name: 'clients', kind: 'file', help: 'JSON with the clients and their credentials; needed beyond loopback' },
  { name: 'secretFile', kind: 'file', help: 'the keys of lockTokens, one per line: the first one signs, all verify' },
  { name: 'tls.key', kind: 'file', help: 'the server’s key, as PEM' },
  { name: 'tls.cert', kind: 'file', help: 'its certificate, as PEM' },
  { name: 'tls.clientCa', kind: 'file', help: 'the authority that signs clients’ certificates, as PEM' },
  { name: 'hosts', kind: 'list', flag: '--host', help: 'the server’s own host names' },
  { name: 'origins', kind: 'list', flag: '--origin', help: 'origins of web pages that may use it' },
  { name: 'expiry', kind: 'choice', choices: ['auto', 'manual'], default: 'auto', help: 'whether it evicts silent holders by itself' },
  { name: 'grace', kind: 'time', default: '10s', help: 'how long pending requests may take when it is told to end' },
  { name: 'inspector', kind: 'yes', flag: '--no-inspector', default: true, help: 'whether the inspector is served at /' },
  { name: 'policies', kind: 'policies', help: 'JSON: the shortest and longest duration of each namespace' },
  { name: 'log.age', kind: 'time', default: '30d', help: 'how long the history is kept' },
  { name: 'log.entries', kind: 'count', default: 1_000_000, help: 'how many entries of the history' },
  { name: 'log.refusals', kind: 'count', default: 10_000, help: 'how many entries of refusals' },
  { name: 'log.required', kind: 'yes', default: true, help: 'grant no lock while the log cannot be written' },
  {
    ...{ name: 'log.level', kind: 'choice', choices: ['off', ...reportLevels], default: 'info' },
    help: 'what it logs on stderr, in lines of JSON',
  },
  ...Object.entries(limits).map(([name, what]): Setting => {
    const most = limitDefaults[name as keyof typeof limitDefaults]
    return name === 'requestTimeout'
      ? { name: `limits.${name}`, kind: 'time', default: `${most / 1_000}s`, help: what }
      : { name: `limits.${name}`, kind: 'count', default: most, help: `most ${what}` }
  }),
]

const words = (name: string): string[] => name.split(/\.|(?=[A-Z])/).map((word) => word.toLowerCase())

export const flagOf = ({ flag, name }: Setting): string => flag ?? `--${words(name).join('-')}`

export const envOf = ({ name }: Setting): string => `STORELOCK_${words(name).join('_').toUpperCase()}`

const placeholders: Readonly<Record<Kind, string>> = {
  ...{
    text: '<address>',
    file: '<file>',
    list: '<name...>',
    count: '<n>',
    time: '<time>',
    choice: '<which>',
    yes: '<true|false>',
    policies: '<json>',
  },
}

/** The flags, except `--store`, which all commands have. `readConfig` parses their values, with those of the other sources. */
export const flags = (): Option[] =>
  settings
    .filter(({ name }) => name !== 'store')
    .map((setting) => {
      const { kind, help, choices, default: standard } = setting
      const told = [help, choices && `: ${choices.join(', ')}`, standard !== undefined && ` (default: ${standard})`].filter(Boolean).join('')
      const flag = flagOf(setting)
      const option = new Option(flag.startsWith('--no-') ? flag : `${flag} ${placeholders[kind]}`, told)
      if (setting.name === 'listen') return new Option(`-l, ${option.flags}`, told)
      return setting.name.startsWith('limits.') ? option.helpGroup('Limits:') : option
    })

/** The values of the flags that were typed, without defaults. */
export function typedOf(command: Command): Typed {
  const typed: Record<string, string | readonly string[]> = {}
  for (const option of command.options) {
    const name = settings.find((setting) => flagOf(setting) === option.long)?.name ?? option.attributeName()
    if (command.getOptionValueSource(option.attributeName()) === 'cli') typed[name] = command.getOptionValue(option.attributeName())
  }
  return typed
}
