import { wrapAll } from './wrapped.ts'

wrapAll()
await import('../locks/hold.test.ts')
