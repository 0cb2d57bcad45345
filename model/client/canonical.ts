import { createHash } from 'node:crypto'
import type { Grant } from '../../src/locks/core/grant.ts'
import type { Asked, Item, Seat, World } from './world.ts'

/**
 * A short name that two worlds share exactly if no client and no store can tell them apart: times count from now, looks from the last one,
 * and only the order of tokens matters.
 */
export function canonical(world: World): string {
  const text = textOf(world)
  const order = [...new Set(text.match(/§\d+/g))].sort((one, other) => Number(one.slice(1)) - Number(other.slice(1)))
  const ranked = text.replace(/§\d+/g, (token) => `#${order.indexOf(token)}`)
  return createHash('sha1').update(ranked).digest('base64').slice(0, 16)
}

const token = (token: number): string => `§${token}`

function textOf(world: World): string {
  const { now, record, rows, floor, seats, items, faults, highest, used, stolen } = world
  const since = (at: number): string => (Number.isFinite(at) ? String(now - at) : at > 0 ? '+' : '-')
  const plain = (value: unknown): string =>
    JSON.stringify(value, (name, inner) => {
      if (inner instanceof Map) return [...inner]
      return (name === 'token' || name === 'previous') && typeof inner === 'number' ? token(inner) : inner
    })
  const grantOf = (grant: Grant, looks: number): string => {
    const { life, token: own, usedToken, lastToken, since: at, triedAt, startedAt } = grant
    const state = life.is === 'confirming' ? `c${since(life.until)}${life.alone}` : life.is === 'held' ? life.by : life.is
    return [state, token(own), token(usedToken), token(lastToken), since(at), since(triedAt), since(startedAt), looks, grant.number].join()
  }
  const requestOf = ({ id, wish, number, life, robbed, since: first, impatient }: Asked, looks: number): string => {
    const seen = 'seen' in life ? `${since(life.seen.at)},${token(life.seen.token)},${life.after === looks}` : ''
    return [id, wish.steal, number, life.is, seen, impatient, robbed && token(robbed.token), since(first)].join()
  }
  const seatOf = (seat: Seat): string => {
    const { id, alive, asked, beaten, again, beats, observer, key } = seat
    if (!alive) return `${id} dead`
    const grants = [...key.grants].map(([grant, looks]) => grantOf(grant, key.looks - looks))
    const requests = [...key.requests.values()].map((request) => requestOf(request, key.looks))
    const sights = [...observer.sights].map(([who, { mark, silent, at }]) =>
      [/^\d/.test(who) ? token(Number(who)) : who, mark, silent, since(at)].join(),
    )
    const beat = [since(beats.renewedAt), beats.evictions].join()
    return [id, asked, beaten, again, beat, key.number, plain(key.view), ...grants, '/', ...requests, '/', ...sights].join(';')
  }
  const itemOf = (item: Item): string => {
    const looks = seats[item.seat]?.key.looks ?? 0
    const late = item.fresh ? '' : 'late '
    if (item.is === 'look') return `${late}look ${item.seat} ${looks - item.index} ${since(item.sent)} ${plain(item.view)}`
    if (item.is === 'hint') return `${late}hint ${item.seat} ${plain(item.grant)}`
    return `${late}${item.is} ${item.seat} ${since(item.sent)} ${plain(item.command)} ${plain(item.purpose)} ${item.is === 'answer' ? plain(item.outcome) : ''}`
  }
  // Only the order of a session's own commands matters.
  const commands = items.filter(({ is }) => is === 'command').map(itemOf)
  const others = items
    .filter(({ is }) => is !== 'command')
    .map(itemOf)
    .sort()
  return [
    plain(record),
    plain([...rows]),
    token(floor),
    faults,
    stolen,
    token(highest),
    token(used),
    ...seats.map(seatOf),
    '|',
    ...commands,
    '|',
    ...others,
  ].join('\n')
}
