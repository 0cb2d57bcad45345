import { encode } from '../../channels/etcd/form.ts'
import type { EtcdChannel } from '../../channels/etcd.ts'
import type { Command } from '../../protocol/index.ts'
import type { Message } from '../../store.ts'
import type { Write } from '../remote.ts'
import { fenceText } from './transaction.ts'

const put = (key: string, value: string): object => ({ request_put: { key: encode(key), value: encode(value) } })
const remove = (key: string): object => ({ request_delete_range: { key: encode(key) } })

/** The id of a key's fence: the row with the record's holders, which changes only with a grant or an eviction. */
export const fenceId = (key: string): string => `f:${key}`

/** The operations that write rows, and with them the fences of records and the hints to sessions that were granted a lock. */
export function operationsFor(
  writes: ReadonlyMap<string, Write | undefined>,
  keyOf: (id: string) => string,
  channel: Pick<EtcdChannel, 'keyOf' | 'textOf'>,
): object[] {
  const hints = new Map<string, Message[]>()
  const operations = Array.from(writes, ([id, write]) => {
    const name = id.slice(2)
    if (!write) return [remove(keyOf(id)), remove(id.startsWith('r:') ? keyOf(fenceId(name)) : channel.keyOf(name))]
    const { text, record, takesOver } = write
    if (!record || !takesOver) return [put(keyOf(id), text)]
    for (const { session, number, token, previous, reserve, unconfirmed } of record.holders) {
      // A transaction can write a key only once, and this one already removes the hints of a session that has ended.
      if (!unconfirmed || (writes.has(`s:${session}`) && !writes.get(`s:${session}`))) continue
      const hint = { key: name, number, token, previous, ...(reserve !== undefined && { reserve }) }
      hints.set(session, [...(hints.get(session) ?? []), hint])
    }
    return [put(keyOf(id), text), put(keyOf(fenceId(name)), fenceText(record))]
  })
  return [...operations.flat(), ...Array.from(hints, ([session, messages]) => put(channel.keyOf(session), channel.textOf(messages)))]
}

/** Splits a batch, in order. */
export const partsOf = (commands: readonly Command[], size: number): (readonly Command[])[] =>
  commands.length <= size
    ? [commands]
    : Array.from({ length: Math.ceil(commands.length / size) }, (_, part) => commands.slice(part * size, (part + 1) * size))
