import { AuthClient, navigatorLock } from '@supabase/auth-js'

export function makeAuth(url: string) {
  return new AuthClient({ url, storageKey: 'app-session', lock: navigatorLock })
}
