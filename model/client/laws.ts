import { deliver, isHint, shellsOf } from './deliver.ts'
import { copy, key, type Parts, type World } from './world.ts'

/** Which law a world breaks, in words. */
export function brokenBy(parts: Parts, world: World): string | undefined {
  return world.flaw ?? excludes(world) ?? endsWell(parts, world)
}

/** Who believes that it holds the lock, on its own clock. */
const believers = ({ seats, now }: World): string[] =>
  seats.flatMap(({ id, alive, key }) => (alive ? [...key.grants.keys()].filter((grant) => !grant.ended && now < grant.deadline).map(() => id) : []))

function excludes(world: World): string | undefined {
  if (world.stolen) return undefined
  const all = believers(world)
  return all.length > (world.limit ?? 1) ? `${all.join(' and ')} believe that they hold ${key}` : undefined
}

/** So many rounds are far more than a few requests need. */
const rounds = 60

/**
 * If nothing fails any more and all hints are lost, each that waits gets the lock, each that has it lets go, and nothing of them is left: no
 * waiter is forgotten, no request is left behind, every life ends.
 */
function endsWell(parts: Parts, start: World): string | undefined {
  const world = copy(parts, start)
  const shells = shellsOf(parts, world)
  // What is held up comes late, and hints never.
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

/** Whether nobody alive waits or holds, here or in the record. */
const isOver = ({ seats, record, items }: World): boolean =>
  !items.length &&
  seats.every(
    ({ id, alive, key }) =>
      !alive ||
      (!key.requests.size && !key.grants.size && ![...(record?.holders ?? []), ...(record?.queue ?? [])].some(({ session }) => session === id)),
  )
