import { wrapAll } from './wrapped.ts'

wrapAll()
await import('../locks/wait.test.ts')
