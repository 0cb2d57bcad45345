import type { HeldLock } from 'storelock'

/** Where each holder leaves its token when it is done: in the storage that the lock protects. */
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
    // biome-ignore lint/suspicious/noDocumentCookie: it has to go the same way as the cookies that it follows.
    document.cookie = `${name}=${token}; path=/; samesite=strict`
  },
})

/**
 * Waits until this tab sees what the last holder wrote. Other tabs' changes come in their order, but a moment late, sometimes later than the lock.
 * A holder that crashed has left no mark; then it waits for half a second.
 */
export async function caughtUp({ previous }: HeldLock, mark: Mark): Promise<void> {
  const end = performance.now() + 500
  while (mark.read() < previous && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 1))
}
