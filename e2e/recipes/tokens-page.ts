import { AuthClient } from '@supabase/auth-js'
import { createLocks } from 'storelock'
import { indexedDBStore } from 'storelock/stores/indexeddb'
import Session from 'supertokens-website'
import { markInCookie } from './caught-up.ts'
import { supabaseLock } from './supabase-lock.ts'
import { superTokensLock } from './supertokens-lock.ts'
import { accessToken, keepTokens, type Tokens } from './token.ts'

const locks = createLocks({ store: indexedDBStore('auth-locks') })

/** Asks the test server for new tokens. */
async function refresh(server: string, refreshToken: string, signal: AbortSignal): Promise<Tokens> {
  const response = await fetch(server, { method: 'POST', body: JSON.stringify({ refresh_token: refreshToken }), signal })
  if (!response.ok) throw new Error(`refused with ${response.status}`)
  const { access_token, refresh_token, expires_in } = await response.json()
  return { access: access_token, refresh: refresh_token, expiresAt: Date.now() + 1_000 * expires_in }
}

/** What tests call in the page, as the global `tokens`. */
const exposed = {
  /** Stores an expired access token, and this refresh token. */
  expired: (refresh: string): Promise<void> => keepTokens({ access: 'old', refresh, expiresAt: 0 }),
  token: (server: string): Promise<string> => accessToken((token, signal) => refresh(server, token, signal)),
  /** The same, in the format of supabase-js. */
  expiredSession(refresh_token: string): void {
    const session = { access_token: 'old', refresh_token, token_type: 'bearer', expires_in: 3_600, expires_at: 1, user: { id: 'me' } }
    localStorage.setItem('session', JSON.stringify(session))
  },
  /** The access token of supabase-js, or why there is none. */
  async session(server: string, locked: boolean): Promise<string | undefined> {
    const options = { url: server, storageKey: 'session', autoRefreshToken: false, detectSessionInUrl: false }
    const client = new AuthClient({ ...options, ...(locked && { lock: supabaseLock(locks) }) })
    const { data, error } = await client.getSession()
    return data.session?.access_token ?? error?.code
  },
  /** Increments a number in `localStorage` `times` times, under the lock for supabase-js. */
  async countInStorage(times: number): Promise<void> {
    const lock = supabaseLock(locks)
    for (let time = 0; time < times; time++) {
      await lock('count', -1, async () => localStorage.setItem('count', `${Number(localStorage.getItem('count')) + 1}`))
    }
  },
  /** The same in a cookie, under the lock for SuperTokens. */
  async countInCookie(times: number): Promise<void> {
    const lock = await superTokensLock(locks)()
    for (let time = 0; time < times; time++) {
      if (!(await lock.acquireLock('count', 20_000))) throw new Error('the lock was not free in time')
      const cookie = markInCookie('number')
      cookie.write(cookie.read() + 1)
      await lock.releaseLock('count')
    }
  },
  counted: () => [Number(localStorage.getItem('count')), markInCookie('number').read()],
  /** Lets SuperTokens handle all requests of the page to the server. */
  superTokens(apiDomain: string): void {
    Session.init({ apiDomain, tokenTransferMethod: 'header', lockFactory: superTokensLock(locks) })
  },
  signIn: async (server: string): Promise<void> => void (await fetch(`${server}/signin`, { method: 'POST' })),
  /** The access token that the server accepted. */
  api: async (server: string): Promise<string> => (await fetch(`${server}/api`)).text(),
}

declare global {
  var tokens: typeof exposed
}

globalThis.tokens = exposed
