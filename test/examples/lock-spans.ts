import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { type Span, SpanStatusCode, trace } from '@opentelemetry/api'
import type { LockEvent } from 'storelock'

/** Traces every lock of this process: one span for each wait and one for each hold. @returns a function that stops this */
export function traceLocks(): () => void {
  const tracer = trace.getTracer('storelock')
  const waits = new Map<string, Span>()
  const holds = new Map<string, Span>()
  const end = (spans: Map<string, Span>, id: string, error?: string): void => {
    if (error !== undefined) spans.get(id)?.setStatus({ code: SpanStatusCode.ERROR, message: error })
    spans.get(id)?.end()
    spans.delete(id)
  }
  const listener = (message: unknown): void => {
    const event = message as LockEvent
    if (event.type === 'asked') {
      const before = `${event.session} ${event.before}`
      const span = waits.get(before) ?? tracer.startSpan(`wait for ${event.key}`)
      waits.delete(before)
      waits.set(`${event.session} ${event.number}`, span)
    } else if (event.type === 'withdrawn') end(waits, `${event.session} ${event.number}`, 'not granted')
    else if (event.type === 'granted' && event.own) {
      end(waits, `${event.session} ${event.number}`)
      const attributes = { 'lock.key': event.key, 'lock.token': event.token }
      holds.set(`${event.key} ${event.token}`, tracer.startSpan(`hold ${event.key}`, { attributes }))
    } else if (event.type === 'released') end(holds, `${event.key} ${event.token}`)
    else if (event.type === 'lost') end(holds, `${event.key} ${event.token}`, event.reason)
  }
  const channels = ['asked', 'withdrawn', 'granted', 'released', 'lost'].map((type) => `storelock:${type}`)
  for (const channel of channels) subscribe(channel, listener)
  return () => {
    for (const channel of channels) unsubscribe(channel, listener)
  }
}
