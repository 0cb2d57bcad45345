import { Shell } from './shell.ts'
import { carryOut, type Item, type Parts, type World } from './world.ts'

export const isHint = ({ is }: Item): boolean => is === 'hint'

export const shellsOf = (parts: Parts, world: World): Shell[] => world.seats.map((_, index) => new Shell(parts, world, index))

/** Carries out and delivers all items on their way and all that follow from them, except those that are held up. */
export function deliver(world: World, shells: readonly Shell[], isHeld: (item: Item) => boolean): void {
  for (;;) {
    const place = world.items.findIndex((item) => !isHeld(item))
    const item = world.items[place]
    if (!item) return
    world.items.splice(place, 1)
    const shell = shells[item.seat] as Shell
    if (item.is === 'command') {
      const outcome = carryOut(world, item.command)
      if (shell.seat.alive) world.items.push({ ...item, is: 'answer', outcome })
    } else if (!shell.seat.alive) continue
    else if (item.is === 'answer') shell.answered(item)
    else if (item.is === 'look') shell.looked(item)
    else shell.hear(item.grant)
  }
}
