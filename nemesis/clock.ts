import { existsSync, rmSync } from 'node:fs'

const library = ['x86_64-linux-gnu', 'aarch64-linux-gnu'].map((triple) => `/usr/lib/${triple}/faketime/libfaketimeMT.so.1`).find(existsSync)

/** Whether the wall clock of a process can be set. */
export const canSetClocks = library !== undefined

/** Environment variables with which a process reads its wall clock from a file each time, and its monotonic clock from the system as usual. */
export const clockFrom = (file: string): NodeJS.ProcessEnv =>
  library ? { LD_PRELOAD: library, FAKETIME_TIMESTAMP_FILE: file, FAKETIME_NO_CACHE: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1' } : {}

/** Removes the files that libfaketime leaves in shared memory for a killed process. */
export function sweepAfter(pid: number | undefined): void {
  if (library) for (const name of [`faketime_shm_${pid}`, `sem.faketime_sem_${pid}`]) rmSync(`/dev/shm/${name}`, { force: true })
}
