import './install.ts'

/** A worker that takes the lock that it is told and keeps it; it says when it has it. */
addEventListener('message', ({ data }: MessageEvent<string>) => {
  navigator.locks.request(data, () => {
    postMessage('held')
    return new Promise(() => {})
  })
})
