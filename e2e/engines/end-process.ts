import { setTimeout } from 'node:timers/promises'

/** Kills a process that is not our child. Resolves once it is gone. */
export async function endProcess(id: number): Promise<void> {
  process.kill(id, 'SIGKILL')
  while (exists(id)) await setTimeout(1)
}

function exists(id: number): boolean {
  try {
    return process.kill(id, 0)
  } catch {
    return false
  }
}
