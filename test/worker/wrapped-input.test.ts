import { wrapAll } from './wrapped.ts'

wrapAll()
await import('../locks/input.test.ts')
