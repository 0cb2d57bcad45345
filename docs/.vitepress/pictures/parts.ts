import { arrow, box, svg, text } from './svg.ts'

/** Draws two tabs or processes, and the three parts of a store between them. */
export function drawParts(): string {
  const sides: readonly (readonly [x: number, name: string])[] = [
    [92, 'tab or process A'],
    [288, 'tab or process B'],
  ]
  return svg(
    316,
    'A store, a channel and a beacon between two tabs or processes',
    'A and B both read and write the records in the store. They send each other hints over the channel. A keeps a beacon while it is alive, and B watches it.',
    [
      ...sides.map(([x, name]) => box(x, 14, 156, [name, 'your code', 'createLocks({ store })'], 'plain')),
      arrow([90, 71], [120, 124], 'held'),
      arrow([290, 71], [260, 124], 'held'),
      text(190, 98, ['requests, renewals,', 'releases'], 'small'),
      box(190, 124, 180, ['store', 'one record per lock:', 'holders, tokens, queue'], 'held'),
      arrow([56, 71], [56, 204], 'good'),
      arrow([324, 204], [324, 71], 'good'),
      box(190, 204, 300, ['channel: a hint that B should look'], 'good'),
      arrow([24, 71], [24, 252], 'plain'),
      arrow([356, 252], [356, 71], 'plain'),
      box(190, 252, 350, ['beacon of A: is there while A lives, and B watches it'], 'plain'),
      text(190, 296, ['The store decides. The other two only save time.'], 'small'),
    ],
  )
}
