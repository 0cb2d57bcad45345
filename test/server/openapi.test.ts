import { Validator } from '@seriousme/openapi-schema-validator'
import { expect, test } from 'vitest'
import { memoryStore } from '../../src/stores/memory.ts'
import { Client, handlerOf } from './world.ts'

interface Operation {
  readonly operationId?: string
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly required?: boolean }[]
}

async function described() {
  const handler = await handlerOf(memoryStore())
  return await new Client(handler, 'a').get<{ openapi: string; paths: Record<string, Record<string, Operation>> }>('/openapi.json')
}

test('the OpenAPI document is valid according to an independent validator', async () => {
  const document = await described()
  const { valid, errors } = await new Validator().validate(document)
  expect([document.openapi, valid, errors ?? []]).toEqual(['3.1.0', true, []])
})

test('every operation has its own operationId', async () => {
  const { paths } = await described()
  const ids = Object.values(paths).flatMap((path) => Object.values(path).map(({ operationId }) => operationId))
  expect(ids).toEqual([...new Set(ids)])
  expect(ids).toContain('acquire')
  expect(ids).not.toContain(undefined)
})

test('the client header is described wherever it has an effect, and required where it is needed', async () => {
  const { paths } = await described()
  const need = (path: string): boolean | undefined =>
    Object.values(paths[path] ?? {})[0]?.parameters?.find(({ name, in: place }) => name === 'storelock-client' && place === 'header')?.required
  expect(['/v1/acquire', '/v1/renew', '/v1/release'].map(need)).toEqual([true, true, true])
  expect(['/v1/apply', '/v1/events', '/v1/locks'].map(need)).toEqual([false, false, false])
})
