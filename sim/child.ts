import { type Result, run } from './run.ts'

/** What the child runs: seeds from this one on until `ms` of simulated time have passed, or one seed with its history. */
export type Task = { readonly seed: number; readonly ms: number } | { readonly seed: number; readonly history: true }

async function play(task: Task): Promise<void> {
  if ('history' in task) return await tell(await run(task.seed, true))
  for (let seed = task.seed, passed = 0; passed < task.ms; seed++) {
    const result = await run(seed)
    passed += result.ms
    await tell(result)
    if (result.failure !== undefined) return
  }
}

const tell = (result: Result): Promise<void> => new Promise((resolve) => process.send?.(result, undefined, undefined, () => resolve()))

process.once('message', (task: Task) => void play(task).then(() => process.disconnect()))
