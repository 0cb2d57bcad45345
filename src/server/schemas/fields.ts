// Schemas for the fields of requests and answers.

import { maxDuration } from '../../protocol/index.ts'
import { z } from '../libraries.ts'

/** Longest key, in bytes of UTF-8: a name and a namespace, escaped, fit into it. */
const maxKeyBytes = 4_200
/** Longest metadata or ask, as JSON in UTF-8. */
export const maxJsonBytes = 16_384
/** How deep metadata and asks may be nested. */
const maxDepth = 64

const isShallow = (value: unknown, deep: number): boolean =>
  typeof value !== 'object' || value === null || (deep > 0 && Object.values(value).every((part) => isShallow(part, deep - 1)))

export const bytes = (text: string): number => Buffer.byteLength(text)

export const key = z
  .string()
  .refine((text) => !/[\0\p{Surrogate}]/u.test(text) && bytes(text) <= maxKeyBytes, `a key must be well-formed, with up to ${maxKeyBytes} bytes`)
/** Text that is shown to people: without characters that move a terminal's cursor, or hide the text after them. */
export const shown = (most: number) =>
  z
    .string()
    .max(most)
    .refine((text) => !/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u.test(text), 'no control characters')
export const id = shown(128).min(1)
export const label = shown(256).optional()
export const count = z.int().min(0)
export const lease = z
  .number()
  .positive()
  .max((maxDuration * 4) / 3)
export const json = z
  .any()
  .refine(
    (value) => isShallow(value, maxDepth) && bytes(JSON.stringify(value) ?? '') <= maxJsonBytes,
    `up to ${maxJsonBytes} bytes as JSON, nested up to ${maxDepth} deep`,
  )
  .optional()
  .openapi({ description: 'Any JSON.' })
export const lockToken = z.string().min(1).max(1_024)
export const topic = z.string().min(1).max(maxKeyBytes)

export const seq = z.int().optional()
