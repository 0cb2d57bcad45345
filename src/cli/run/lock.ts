import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import type { Store } from '../../index.ts'
import type { Common } from '../args.ts'
import { Exit, exitCodes, Killed } from '../exit.ts'
import { isFile } from '../place.ts'
import { sleep } from '../sleep.ts'
import { keyOf, openStore, withStore } from '../store.ts'
import type { HeldFor, HoldOptions } from './hold.ts'
import { isThere, startOf } from './process.ts'

/** How often to check whether the holder has ended, in ms. */
const look = 10

/** Takes a lock for the calling shell: another process holds it until the shell ends, or calls {@link unlock}. */
export async function lock(key: string, words: readonly string[], options: HoldOptions): Promise<void> {
  const pid = options.pid ?? process.ppid
  await assertNotHeld(key, pid, options.store)
  const holder = spawn(process.execPath, [process.argv[1] as string, 'hold', ...words, '--pid', `${pid}`], {
    detached: true,
    stdio: ['pipe', 'pipe', process.stderr.isTTY ? 'inherit' : 'pipe'],
  })
  holder.stdin?.on('error', () => {})
  holder.stderr?.on('data', (text) => process.stderr.write(text))
  let printed = ''
  const ending = await new Promise<number | NodeJS.Signals | undefined>((resolve, reject) => {
    holder.once('error', reject)
    holder.stdout?.on('data', (text) => {
      printed += text
      if (printed.endsWith('\n')) resolve(undefined)
    })
    holder.once('close', (code, signal) => resolve(signal ?? code ?? exitCodes.failed))
  })
  if (typeof ending === 'string') throw new Killed(ending)
  if (ending !== undefined) throw new Exit(ending)
  for (const part of [holder, holder.stdout, holder.stderr]) (part as { unref?(): void } | null)?.unref?.()
  holder.stdout?.destroy()
  holder.stderr?.destroy()
  holder.stdin?.destroy()
}

/** Releases a lock that {@link lock} took for the calling shell. */
export async function unlock(key: string, { store: place, pid = process.ppid }: Common & { readonly pid?: number }): Promise<void> {
  await withStore(place, async (store) => {
    const holders = await holdersFor(store, key, pid)
    if (!holders.length) throw new Exit(exitCodes.no, `${key} is not held by this shell`)
    for (const { holder } of holders) process.kill(holder, 'SIGTERM')
    while ((await holdersFor(store, key, pid)).length) await sleep(look)
  })
}

async function assertNotHeld(key: string, shell: number, place: string): Promise<void> {
  if (isFile(place) && !existsSync(place)) return
  const store = await openStore(place)
  try {
    if (!(await holdersFor(store, key, shell)).length) return
  } finally {
    await store.close()
  }
  throw new Exit(exitCodes.failed, `this shell holds ${key} already, so it would wait for itself: unlock it first`)
}

/** The processes of this machine that hold a lock for a shell. Their metadata is checked: anyone who may write to the store can forge it. */
async function holdersFor(store: Store, key: string, shell: number): Promise<HeldFor[]> {
  const { holders = [] } = (await store.read(keyOf(key))) ?? {}
  return holders.flatMap(({ metadata }) => {
    const { shell: of, holder, host, start } = (metadata ?? {}) as Partial<HeldFor>
    if (of !== shell || host !== hostname() || !Number.isSafeInteger(holder) || (holder as number) < 2) return []
    const pid = holder as number
    return startOf(pid) === (start ?? undefined) && isThere(pid) && isHolder(pid) ? [{ shell, holder: pid, host, start: start ?? null }] : []
  })
}

/** Whether a process is a `storelock hold`. True where the system does not tell. */
function isHolder(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes('hold')
  } catch {
    return true
  }
}
