import { deliver, isHint, shellsOf } from './deliver.ts'
import { copy, key, type Parts, type World } from './world.ts'

/** Describes the law that a world breaks, if any. */
export function brokenBy(parts: Parts, world: World): string | undefined {
  return world.flaw ?? excludes(world) ?? endsWell(parts, world)
}

/** The clients that believe they hold the lock. */
const believers = ({ seats, now }: World): string[] =>
  seats.flatMap(({ id, alive, key }) => (alive ? [...key.grants.keys()].filter((grant) => !grant.ended && now < grant.deadline).map(() => id) : []))

function excludes(world: World): string | undefined {
  if (world.stolen) return undefined
  const all = believers(world)
  return all.length > (world.limit ?? 1) ? `${all.join(' and ')} believe that they hold ${key}` : undefined
}

/** Far more rounds than a few requests need. */
const rounds = 60

/**
 * If nothing fails any more but all hints are lost, every waiter must get the lock, every holder must release it, and no request or hold may
 * be left behind.
 */
function endsWell(parts: Parts, start: World): string | undefined {
  const world = copy(parts, start)
  const shells = shellsOf(parts, world)
  // Items that were held up arrive now. Hints never arrive.
  world.items = world.items.filter((item) => !isHint(item))
  for (let round = 0; round < rounds; round++) {
    deliver(world, shells, isHint)
    if (world.flaw) return world.flaw
    for (const shell of shells) {
      const { alive, key } = shell.seat
      if (!alive) continue
      shell.expireDue()
      shell.renew()
      shell.release()
      if (key.requests.size) shell.look()
    }
    deliver(world, shells, isHint)
    world.items = world.items.filter((item) => !isHint(item))
    if (isOver(world)) return undefined
    world.now++
  }
  const waiting = world.seats.filter(({ alive, key }) => alive && key.requests.size).map(({ id }) => id)
  const { holders = [], queue = [] } = world.record ?? {}
  const left = [...holders, ...queue].filter(({ session }) => world.seats.some(({ id, alive }) => alive && id === session))
  return waiting.length
    ? `${waiting.join(' and ')} would wait for ever`
    : `what ${left.map(({ session }) => session).join(' and ')} asked for is left behind`
}

/** Whether no live client waits or holds, by its own state or by the record. */
const isOver = ({ seats, record, items }: World): boolean =>
  !items.length &&
  seats.every(
    ({ id, alive, key }) =>
      !alive ||
      (!key.requests.size && !key.grants.size && ![...(record?.holders ?? []), ...(record?.queue ?? [])].some(({ session }) => session === id)),
  )
