import { EtcdClient, type EtcdOptions } from '../../channels/etcd/client.ts'
import { type Finding, fault, note, ok } from './finding.ts'

/** The oldest version whose members answer JSON at `/v3`. */
const oldest = 3.4
/** How long an answer may take, in ms. */
const timeout = 5_000

interface Status {
  readonly version: string
  readonly leader?: string
  readonly dbSize?: string
  readonly errors?: readonly string[]
}

/** Checks each member of an etcd, and the cluster as a whole. */
export async function checkEtcd({ members, ...options }: EtcdOptions & { readonly members: readonly string[] }): Promise<Finding[]> {
  const each = await Promise.all(members.map((member) => checkMember(member, options)))
  const client = new EtcdClient(members, { ...options, timeout })
  try {
    const { alarms = [] } = await client.call<{ alarms?: { alarm: string }[] }>('maintenance/alarm', { action: 'GET' }, true)
    const kinds = [...new Set(alarms.map(({ alarm }) => alarm))].join(' and ')
    const alarm = kinds ? fault('alarms', kinds, 'compact and defragment it, then disarm the alarm with etcdctl') : ok('alarms', 'there is none')
    await client.call('kv/txn', { success: [{ request_range: { key: Buffer.from('storelock/floor').toString('base64') } }] }, true)
    return [...each.flat(), alarm, ok('rights', 'may read the locks'), ok('replication', 'a majority has what is confirmed')]
  } catch (error) {
    return [...each.flat(), fault('rights', (error as Error).message, 'check user and password, and the rights on keys that start with storelock/')]
  } finally {
    client.close()
  }
}

async function checkMember(member: string, options: EtcdOptions): Promise<Finding[]> {
  const client = new EtcdClient([member], { ...options, timeout })
  try {
    const start = performance.now()
    const { version, leader, errors } = await client.call<Status>('maintenance/status', {}, true)
    const took = Math.ceil(performance.now() - start)
    const [found] = errors ?? []
    return [
      Number.parseFloat(version) < oldest ? fault('version', `etcd ${version}`, `use ${oldest} or newer`) : ok('version', `etcd ${version}`),
      leader && leader !== '0'
        ? ok('member', `${member} answers within ${took} ms, and has a leader`)
        : fault('member', `${member} has no leader`, 'see that more than half of the members run and reach each other'),
      ...(found ? [note('errors', `${member}: ${found}`, 'see its log')] : []),
    ]
  } catch (error) {
    return [fault('member', `${member}: ${(error as Error).message}`, 'check that it runs, and the address in --store or STORELOCK_STORE')]
  } finally {
    client.close()
  }
}
