export { noopLocks } from '../locks/noop.ts'
export { type ManualClock, type ManualClockOptions, manualClock } from './clock.ts'
export { type StoreFact, type StorePlace, storeSuite } from './suite.ts'
