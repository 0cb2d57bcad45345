import { runOnce } from './run-once.ts'

declare const chrome: {
  readonly alarms: { readonly onAlarm: { addListener(listener: (alarm: { readonly name: string }) => unknown): void } }
}

// An alarm's name is the address that the job has to fetch.
chrome.alarms.onAlarm.addListener(({ name }) => runOnce('sync', (signal) => fetch(name, { signal })))
