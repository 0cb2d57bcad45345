import { gzipSync } from 'node:zlib'
import { bundle } from './bundle.ts'
import type { Measure } from './figure.ts'

/** In kB of 1,000 bytes, as browsers and size-limit count them. */
const limit = 7

export const measures: Record<string, Measure> = {
  async 'size.core+indexeddb'() {
    const ours = gzipSync(await bundle('bench/indexeddb/page/size.ts', 'browser'), { level: 9 }).length / 1000
    return [
      {
        name: 'size.core+indexeddb',
        unit: 'kB',
        ours,
        against: 'the limit (min + gzip)',
        theirs: limit,
        ratio: ours / limit,
        n: 1,
        target: 1,
      },
    ]
  },
}
