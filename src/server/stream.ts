/** A server-sent event stream to one client. */
export interface Stream {
  readonly body: ReadableStream<Uint8Array>
  /** Sends an event. If the client reads too slowly, drops the stream instead: the client reconnects, and looks. */
  send(event: string, data: unknown): void
  /** Shows that the connection works. */
  ping(): void
  close(): void
}

const encoder = new TextEncoder()

/**
 * @param most how much may wait for the client to read it, in bytes
 * @param tooSlow called if more than that would have to wait
 * @param ended called once, however the stream ends
 */
export function makeStream(most: number, tooSlow: () => void, ended: () => void): Stream {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined

  const end = (how: (open: ReadableStreamDefaultController<Uint8Array>) => void): void => {
    const open = controller
    if (!open) return
    controller = undefined
    how(open)
    ended()
  }

  const write = (text: string): void => {
    const chunk = encoder.encode(text)
    if (!controller) return
    if ((controller.desiredSize ?? 0) >= chunk.byteLength) {
      controller.enqueue(chunk)
      return
    }
    end((open) => open.error(new Error('its reader was too slow')))
    tooSlow()
  }

  const body = new ReadableStream<Uint8Array>(
    {
      start(opened) {
        controller = opened
      },
      cancel: () => end(() => {}),
    },
    { highWaterMark: most, size: ({ byteLength }) => byteLength },
  )

  return {
    body,
    send: (event, data) => write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`),
    ping: () => write(':\n\n'),
    close: () => end((open) => open.close()),
  }
}
