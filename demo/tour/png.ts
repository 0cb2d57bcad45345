import { deflateSync, inflateSync } from 'node:zlib'

/** The bytes per pixel: the browser's pictures have three, without transparency. */
const pixel = 3

/** Compresses a browser's picture without loss. The browser uses row filters for photographs, and flat drawings are a third smaller without them. */
export function shrink(png: Buffer): Buffer {
  const chunks = chunksOf(png)
  const header = chunks.find(({ type }) => type === 'IHDR')?.data
  // Eight bits for each of three colours, not interlaced.
  if (!header?.subarray(8).equals(Buffer.from([8, 2, 0, 0, 0]))) return png
  const data = unfiltered(
    inflateSync(Buffer.concat(chunks.filter(({ type }) => type === 'IDAT').map(({ data }) => data))),
    header.readUInt32BE(0) * pixel,
  )
  return Buffer.concat([png.subarray(0, 8), chunk('IHDR', header), chunk('IDAT', deflateSync(data, { level: 9 })), chunk('IEND', Buffer.alloc(0))])
}

function chunksOf(png: Buffer): { readonly type: string; readonly data: Buffer }[] {
  const chunks = []
  for (let at = 8; at < png.length; ) {
    const length = png.readUInt32BE(at)
    chunks.push({ type: png.toString('latin1', at + 4, at + 8), data: png.subarray(at + 8, at + 8 + length) })
    at += 12 + length
  }
  return chunks
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const ends = [Buffer.alloc(4), Buffer.alloc(4)] as const
  ends[0].writeUInt32BE(data.length)
  ends[1].writeUInt32BE(crc(body))
  return Buffer.concat([ends[0], body, ends[1]])
}

/** The rows without their filters. The first byte of each row names its filter. See https://www.w3.org/TR/png/#9Filters. */
function unfiltered(data: Buffer, width: number): Buffer {
  const at = (row: number, x: number) => (row < 0 || x < 0 ? 0 : (data[row * (width + 1) + 1 + x] ?? 0))
  for (let row = 0; row < data.length / (width + 1); row++) {
    const start = row * (width + 1)
    const filter = data[start]
    data[start] = 0
    for (let x = 0; x < width; x++) {
      const [left, up, corner] = [at(row, x - pixel), at(row - 1, x), at(row - 1, x - pixel)]
      const guess = filter === 1 ? left : filter === 2 ? up : filter === 3 ? (left + up) >> 1 : filter === 4 ? nearest(left, up, corner) : 0
      data[start + 1 + x] = (data[start + 1 + x] ?? 0) + guess
    }
  }
  return data
}

function nearest(left: number, up: number, corner: number): number {
  const [toLeft, toUp, toCorner] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)]
  return toLeft <= toUp && toLeft <= toCorner ? left : toUp <= toCorner ? up : corner
}

function crc(bytes: Buffer): number {
  let sum = ~0
  for (const byte of bytes) {
    sum ^= byte
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0)
  }
  return ~sum >>> 0
}
