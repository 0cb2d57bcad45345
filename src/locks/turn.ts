/**
 * How long awaited calls may keep the event loop from turning, in ms: just below the shortest time between two beats, 10 ms. A turn costs as much as
 * some hundred calls.
 */
const stretch = 9

// Read when this module is loaded: a test's fake timers stand still, and no call must wait for them.
const { MessageChannel, setTimeout, clearTimeout } = globalThis
const { setImmediate } = globalThis as Partial<typeof globalThis>

/** Until when no turn is needed. */
let until = -Infinity
/** Resolves when the turn that was asked for has come; `undefined` if none is pending. */
let turning: Promise<void> | undefined

/**
 * Lets the event loop turn if the calls before this one may have prevented that for some ms: a loop of awaited calls that are all answered at once
 * runs no timers, so no heartbeats either, and none of the program's other tasks.
 * @param now what the monotonic clock shows: reading it takes as long as the rest of a call that needs no store
 * @returns `undefined` if there is no need to wait
 */
export const turn = (now: number): Promise<void> | undefined => (now < until ? undefined : begin(now))

function begin(now: number): Promise<void> | undefined {
  if (turning) return turning
  until = now + stretch
  // This call does not wait for it; a later call does, if the turn has not come within the stretch.
  turning = new Promise((resolve) => {
    afterTurn(() => {
      turning = undefined
      resolve()
    })
  })
  return undefined
}

let turned: (() => void) | undefined
let timer: ReturnType<typeof setTimeout> | undefined
/** One channel for all turns, since making one takes as long as a dozen calls. */
let channel: MessageChannel | undefined

function afterTurn(run: () => void): void {
  if (setImmediate) return void setImmediate(run)
  turned = run
  // A page that is left in the middle of this may lose the message; when it comes back it still has its timers.
  timer = setTimeout(endTurn)
  if (!MessageChannel) return
  if (!channel) {
    channel = new MessageChannel()
    channel.port1.onmessage = endTurn
  }
  channel.port2.postMessage(null)
}

/** A message may arrive late, when a later turn is awaited: it then ends that one, since the event loop has turned. */
function endTurn(): void {
  clearTimeout(timer)
  const run = turned
  turned = undefined
  run?.()
}
