import type { HeldLock } from 'storelock'

/** Where each holder leaves its token when it is done. It is in the same storage that the lock protects. */
interface Mark {
  read(): number
  write(token: number): void
}

export const markInLocalStorage = (name: string): Mark => ({
  read: () => Number(localStorage.getItem(name)),
  write: (token) => localStorage.setItem(name, `${token}`),
})

export const markInCookie = (name: string): Mark => ({
  read: () => Number(new RegExp(`(?:^|; )${name}=(\\d+)`).exec(document.cookie)?.[1] ?? 0),
  write(token) {
    // biome-ignore lint/suspicious/noDocumentCookie: the mark has to arrive in order with the cookies that it follows.
    document.cookie = `${name}=${token}; path=/; samesite=strict`
  },
})

/**
 * Waits until this tab sees what the last holder wrote. Changes from other tabs arrive in order, but a moment late, sometimes after the lock.
 * If the last holder crashed, there is no mark, and this waits for half a second.
 */
export async function caughtUp({ previous }: HeldLock, mark: Mark): Promise<void> {
  const end = performance.now() + 500
  while (mark.read() < previous && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 1))
}
