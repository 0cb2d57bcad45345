import { SpanStatusCode, trace } from '@opentelemetry/api'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { createLocks } from 'storelock'
import { memoryStore } from 'storelock/stores/memory'
import { expect, test } from 'vitest'
import { traceLocks } from './lock-spans.ts'

test('each wait and each hold is a span, with an error if the wait was in vain or the lock was lost', async () => {
  const exporter = new InMemorySpanExporter()
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }))
  const stop = traceLocks()
  const locks = createLocks({ store: memoryStore() })
  const lock = await locks.acquire('job')
  await locks.acquire('job', { timeout: 1 }).catch(() => {})
  const waiting = locks.acquire('job')
  await lock.release()
  await waiting
  await locks.acquire('job', { steal: true })
  await locks.close()
  await new Promise((resolve) => setImmediate(resolve))
  stop()
  expect(exporter.getFinishedSpans().map(({ name, status }) => [name, status.code === SpanStatusCode.ERROR ? status.message : 'ok'])).toEqual([
    ['wait for job', 'ok'],
    ['wait for job', 'not granted'],
    ['hold job', 'ok'],
    ['wait for job', 'ok'],
    ['hold job', 'stolen'],
    ['wait for job', 'ok'],
    ['hold job', 'ok'],
  ])
})
