import type { Argument } from '../../channels/redis/client.ts'
import { type Fenced, fencedOut, LockError } from '../../protocol/index.ts'

/** The reply to a command of a fenced transaction. */
export interface RedisReply<T = unknown> {
  /** @throws LockError `invalid` before the transaction is over */
  readonly value: T
}

/** Commands that run atomically, if the locks are held at that moment. */
export interface RedisTransaction {
  /** Adds a command, such as `call('SET', 'name', 'text')`. Its reply is available once the transaction is over. */
  call<T = unknown>(command: string, ...args: readonly (string | number | Uint8Array)[]): RedisReply<T>
}

/** A transaction that is being put together. */
export class Queued implements RedisTransaction {
  readonly locks = new Set<Fenced>()
  readonly #commands: (readonly Argument[])[] = []
  #replies: readonly unknown[] | undefined
  #sent = false

  call<T>(command: string, ...args: readonly (string | number | Uint8Array)[]): RedisReply<T> {
    if (this.#sent) throw new LockError('invalid', 'this transaction has been sent already: add commands before its body ends')
    const index =
      this.#commands.push(
        [command, ...args].map((arg) => (typeof arg === 'number' ? String(arg) : typeof arg === 'string' ? arg : Buffer.from(arg))),
      ) - 1
    const replyOf = (): T => {
      if (!this.#replies) throw new LockError('invalid', 'the replies of a transaction are there once it is over')
      return this.#replies[index] as T
    }
    return {
      get value() {
        return replyOf()
      },
    }
  }

  /**
   * Sends the commands; nothing can be added afterwards.
   * @param title the server's name in error messages
   * @param write runs the script with the keys of the locks and these arguments
   */
  async run(title: string, write: (keys: readonly string[], args: readonly Argument[]) => Promise<readonly unknown[]>): Promise<void> {
    this.#sent = true
    const locks = [...this.locks]
    for (const lock of locks) lock.assertHeld()
    const checks = locks.flatMap(({ session, token }) => [JSON.stringify(session), String(token)])
    const args = [...checks, ...this.#commands.flatMap((command) => [String(command.length), ...command])]
    const keys = locks.map(({ key }) => key)
    const [how, , detail, before] = await write(keys, args)
    if (how === 'lost') throw fencedOut(locks[(detail as number) - 1] as Fenced)
    if (how === 'done') {
      this.#replies = detail as unknown[]
      return
    }
    const [command = ''] = this.#commands[before as number] ?? []
    const cause = new Error(String(detail))
    throw new LockError('store', `${title} refused ${command}: ${detail}; what came before it (${before}) was carried out`, { cause })
  }
}
