import { BroadcastChannel, createLeaderElection } from 'broadcast-channel'

const channel = new BroadcastChannel('sync')
const elector = createLeaderElection(channel)
elector.onduplicate = () => console.warn('two leaders')

export async function lead(work: () => Promise<void>): Promise<void> {
  await elector.awaitLeadership()
  await work()
}

export async function resign(): Promise<void> {
  await elector.die()
}
