// The script of the page that a lock server serves at `/`.
import { createLocks, revoke } from '../core.ts'
import { snapshotOf } from '../locks/snapshot.ts'
import { sweepRecords } from '../locks/sweep.ts'
import type { CoreLocks } from '../locks/types.ts'
import { storedName } from '../protocol/index.ts'
import type { InspectorReply } from '../server/wire.ts'
import { httpStore } from '../stores/http.ts'
import { button, el, say } from './dom.ts'
import type { InspectedLocks } from './element.ts'
import { mountInspector } from './index.ts'

const styles = `
:root { color-scheme: light dark; color: CanvasText; background: Canvas; font: 15px/1.5 system-ui, sans-serif }
body { margin: 0 auto; max-width: 60rem; padding: 1rem }
header { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; margin-bottom: .5rem }
h1 { font-size: 1.2rem; margin: 0; flex: 1 1 auto }
form { max-width: 28rem; display: grid; gap: .5rem }
input, button { font: inherit; padding: .4rem .6rem; min-height: 2.4rem }
[role=alert] { min-height: 1.5em; margin: 0; color: light-dark(#a80c26, #ff8f99) }
`

/** The server's address, including the path that a proxy may give it. */
const server = new URL('.', location.href).href.replace(/\/$/, '')

/** Asks the server for the client's name and rights. @param token kept only in this page's memory */
async function whoAmI(token: string | undefined): Promise<InspectorReply> {
  const response = await fetch(`${server}/inspector/me`, { headers: token === undefined ? {} : { authorization: `Bearer ${token}` } })
  const reply = await response.json()
  if (!response.ok) throw new Error(response.status === 401 ? `The server refuses this token: ${reply.error.message}.` : reply.error.message)
  return reply
}

/** All locks of a server, of all namespaces, by their keys. */
function locksOf(token: string | undefined, { readOnly, admin, ask }: InspectorReply): InspectedLocks {
  const store = httpStore(server, token === undefined ? {} : { token })
  const within = async <T>(key: string, use: (locks: CoreLocks, name: string) => Promise<T>): Promise<T> => {
    const { namespace, name } = storedName(key)
    const locks = createLocks({ store, namespace, label: 'inspector' })
    try {
      return await use(locks, name)
    } finally {
      await locks.close()
    }
  }
  return {
    query: async () => snapshotOf(await store.list('', { busy: true }), { nameOf: (key) => key }),
    ...(ask &&
      !readOnly && {
        acquire: (key, options) =>
          within(key, async (locks, name) => {
            const lock = await locks.acquire(name, options)
            await lock.release()
            return lock
          }),
      }),
    ...(admin &&
      !readOnly && {
        revoke: (key, session) => within(key, (locks, name) => revoke(locks, name, session)),
        async sweep() {
          let count = 0
          for await (const keys of sweepRecords(store, '', Date.now())) count += keys.length
          return count
        },
      }),
  }
}

const main = el('main')

/** Shows the panel. */
function enter(token: string | undefined, me: InspectorReply): void {
  const rights = me.readOnly ? 'may only look' : me.admin ? 'admin' : 'no admin'
  const who = el('span', {}, me.name ? `${me.name} (${rights})` : '')
  // Reloading the page drops the token from memory.
  const leave = button('Sign out', () => location.reload())
  main.replaceChildren(el('header', {}, el('h1', {}, 'Lock server'), who, ...(token === undefined ? [] : [leave])))
  mountInspector(locksOf(token, me), { into: main })
}

/** Asks for the token of a client. */
function askForToken(): void {
  // Without a `name` the token never gets into an address, and without autocomplete the browser does not save it.
  const input = el('input', { type: 'password', id: 'token', autocomplete: 'off', required: '' })
  const why = el('p', { role: 'alert' })
  const form = el(
    'form',
    {},
    el('label', { for: 'token' }, 'Token of one of the server’s clients'),
    input,
    el('button', {}, 'Look at the locks'),
    why,
  )
  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    const token = input.value.trim()
    say(why, '')
    try {
      enter(token, await whoAmI(token))
    } catch (error) {
      say(why, (error as Error).message)
      input.select()
    }
  })
  main.replaceChildren(el('header', {}, el('h1', {}, 'Lock server')), form)
  input.focus()
}

const sheet = new CSSStyleSheet()
sheet.replaceSync(styles)
document.adoptedStyleSheets = [sheet]
document.body.replaceChildren(main)
whoAmI(undefined).then(
  (me) => (me.signedIn ? enter(undefined, me) : askForToken()),
  (error) => main.append(el('p', { role: 'alert' }, (error as Error).message)),
)
