import { spawnSync } from 'node:child_process'

/** A virtual host on this machine: a network namespace with one link to this machine and another to the other hosts. */
export interface Host {
  /** Its address from this machine. */
  readonly near: string
  /** Its address from the other hosts. */
  readonly far: string
  /** The start of a command line that runs on this host. */
  readonly within: readonly string[]
  /** Separates it from the other hosts, as if a cable were pulled. This machine can still reach it. */
  cutOff(): void
  rejoin(): void
}

export interface Network {
  readonly hosts: readonly Host[]
  remove(): void
}

/** The maximum number of networks at the same time. */
const most = 250

/** The reason why no network can be made here, or `undefined` if it can. */
export function whyNoNetwork(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces need Linux'
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  try {
    makeNetwork(1).remove()
    return undefined
  } catch (error) {
    return `network namespaces cannot be made here: ${(error as Error).message}`
  }
}

/** Makes hosts that can reach each other, and that this machine can reach. */
export function makeNetwork(count: number): Network {
  const id = reserve()
  const bridge = `slb${id}`
  const names = Array.from({ length: count }, (_, index) => ({
    space: `storelock-${id}-${index}`,
    near: `sln${id}-${index}`,
    far: `slf${id}-${index}`,
    // 198.18.0.0/15 is reserved for tests of networks.
    here: `198.19.${id}.${4 * index + 1}`,
    there: `198.19.${id}.${4 * index + 2}`,
    among: `198.18.${id}.${index + 1}`,
  }))
  const remove = (): void => {
    process.off('exit', remove)
    for (const { space, near, far } of names) {
      // The kernel removes cables some time after their namespace, but the next network may reuse their names at once.
      for (const cable of [near, far]) spawnSync('ip', ['link', 'delete', cable])
      spawnSync('ip', ['netns', 'delete', space])
    }
    spawnSync('ip', ['link', 'delete', bridge])
  }
  process.once('exit', remove)
  try {
    ip(`link set ${bridge} up`)
    for (const { space, near, far, here, there, among } of names) {
      ip(`netns add ${space}`)
      ip(`link add ${near} type veth peer name near netns ${space}`)
      ip(`link add ${far} type veth peer name far netns ${space}`)
      ip(`address add ${here}/30 dev ${near}`)
      ip(`link set ${near} up`)
      ip(`link set ${far} master ${bridge} up`)
      ip(`-netns ${space} link set lo up`)
      ip(`-netns ${space} address add ${there}/30 dev near`)
      ip(`-netns ${space} address add ${among}/24 dev far`)
      ip(`-netns ${space} link set near up`)
      ip(`-netns ${space} link set far up`)
    }
  } catch (error) {
    remove()
    throw error
  }
  const hosts = names.map(({ space, far, there, among }) => ({
    near: there,
    far: among,
    within: ['ip', 'netns', 'exec', space],
    cutOff: () => ip(`link set ${far} down`),
    rejoin: () => ip(`link set ${far} up`),
  }))
  return { hosts, remove }
}

/** Reserves a free network number. Creating the bridge of that number takes it. */
function reserve(): number {
  let last: unknown
  for (let id = 0; id < most; id++) {
    try {
      ip(`link add slb${id} type bridge`)
      return id
    } catch (error) {
      last = error
      if (!/exists/i.test((error as Error).message)) break
    }
  }
  throw last
}

function ip(words: string): void {
  const { status, stderr, error } = spawnSync('ip', words.split(' '), { encoding: 'utf8' })
  if (status !== 0) throw new Error(`ip ${words}: ${(stderr || error?.message || `ended with ${status}`).trim()}`)
}
