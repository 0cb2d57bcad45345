import { wrapAll } from './wrapped.ts'

wrapAll()
await import('../locks/fence.test.ts')
