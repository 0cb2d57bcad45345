import { runOnce } from './run-once.ts'

declare const chrome: {
  readonly alarms: { readonly onAlarm: { addListener(listener: (alarm: { readonly name: string }) => unknown): void } }
}

// The alarm's name is the URL that the job fetches.
chrome.alarms.onAlarm.addListener(({ name }) => runOnce('sync', (signal) => fetch(name, { signal })))
