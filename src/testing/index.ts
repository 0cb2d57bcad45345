export { noopLocks } from '../locks/noop.ts'
export { type ManualClock, type ManualClockOptions, manualClock } from './clock.ts'
export type { StorePlace } from './place.ts'
export { type StoreFact, storeSuite } from './suite.ts'
