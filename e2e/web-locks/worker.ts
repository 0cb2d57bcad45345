import './install.ts'

/** A worker that takes the lock that it is told to and keeps it. It reports when it has the lock. */
addEventListener('message', ({ data }: MessageEvent<string>) => {
  navigator.locks.request(data, () => {
    postMessage('held')
    return new Promise(() => {})
  })
})
