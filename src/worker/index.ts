export type { Endpoint } from './endpoint.ts'
export { type ExposeOptions, expose } from './expose.ts'
export { type WrapOptions, wrap } from './wrap.ts'
