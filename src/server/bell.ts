/** Wakes one waiter. If it rings while there is no waiter, the next `wait` resolves at once. */
export interface Bell {
  ring(): void
  /** Resolves when the bell rings, or after this many ms. */
  wait(ms: number): Promise<void>
}

export function makeBell(): Bell {
  let rung = false
  let wake: (() => void) | undefined
  return {
    ring() {
      rung = true
      wake?.()
    },
    async wait(ms) {
      if (!rung) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, Math.max(0, ms))
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
      rung = false
      wake = undefined
    },
  }
}
