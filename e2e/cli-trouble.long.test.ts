import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { guardianOf, isAlive, Program, send } from './cli/program.ts'
import { withProgram } from './cli/setup.ts'

const place = withProgram()

/** How long the test runs, in ms. */
const length = Number(process.env.TROUBLE ?? 60_000)
const duration = 3_000

/** Records its own process id, and the other worker's if that is still alive. It ignores TERM, and ends only when it is done or killed. */
const work = `
trap '' TERM HUP INT
other=$(cat worker 2>/dev/null)
# A command that has ended is a zombie as long as its run is stopped.
[ "$other" ] && grep -q '^[0-9]* ([^)]*) [^Z]' "/proc/$other/stat" 2>/dev/null && echo "$$ with $other, $(cat trouble)" >>overlaps
echo $$ >worker
echo "group $$ "
i=0
while [ $i -lt 40 ]; do i=$((i + 1)); sleep 0.05; done
echo $$ >>done
`

const pick = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)] as T

test('two commands never work at once, and no command outlives its lock, whatever happens to run and its guardian', {
  timeout: length + 120_000,
}, async () => {
  writeFileSync(join(place.folder, 'work.sh'), work)
  const until = performance.now() + length
  const lateGroups: number[] = []

  /** Does one random thing to a run whose command works. */
  const trouble = async (program: Program, group: number): Promise<void> => {
    const what = pick(['kill', 'stop', 'pause', 'hang up', 'end', 'guardian', 'guardian, then kill', 'command', 'nothing'] as const)
    appendFileSync(join(place.folder, 'trouble'), `${what} ${group}\n`)
    if (what === 'kill') send(program.pid, 'SIGKILL')
    else if (what === 'hang up') send(program.pid, 'SIGHUP')
    else if (what === 'end') send(program.pid, 'SIGTERM')
    else if (what === 'command') send(-group, pick(['SIGKILL', 'SIGSTOP']))
    else if (what.startsWith('guardian')) {
      const guardian = guardianOf(program.pid)
      if (guardian) send(guardian, 'SIGKILL')
      await sleep(1_000)
      if (what !== 'guardian') send(program.pid, 'SIGKILL')
    } else if (what !== 'nothing') {
      send(program.pid, 'SIGSTOP')
      await sleep(what === 'pause' ? duration / 4 : 2 * duration)
      send(program.pid, 'SIGCONT')
    }
    // Unless run renewed it, the lock has ended by then.
    if (program.over) {
      await sleep((4 / 3) * duration)
      if (isAlive(group)) lateGroups.push(group)
    }
    send(-group, 'SIGCONT')
    await sleep(duration)
    send(program.pid, 'SIGKILL')
  }

  const worker = async (): Promise<void> => {
    while (performance.now() < until) {
      const command = [place.program, 'run', 'job', '--duration', `${duration}ms`, '--', 'sh', 'work.sh']
      const program = new Program(command, { cwd: place.folder })
      const group = Number(await program.shows(/group (\d+) /).catch(() => 0))
      if (group) await Promise.race([trouble(program, group), program.ending()])
      await program.ending()
    }
  }
  await Promise.all([worker(), worker(), worker()])
  const lines = (name: string): string[] => {
    try {
      return readFileSync(join(place.folder, name), 'utf8').trim().split('\n')
    } catch {
      return []
    }
  }
  console.log(`${lines('done').length} commands worked to their end`)
  expect(lines('overlaps')).toEqual([])
  expect(lateGroups).toEqual([])
  expect(lines('done').length).toBeGreaterThan(0)
})
