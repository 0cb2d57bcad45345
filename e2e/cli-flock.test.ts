import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { root } from '../test/house/installed.ts'
import { Program, until } from './cli/program.ts'
import { withProgram } from './cli/setup.ts'

// Runs the commands of docs/flock.md and docs/scheduled-jobs.md as they are written.
const place = withProgram()
const page = (name: string): string => readFileSync(join(root, 'docs', name), 'utf8')

/** Code blocks, each with the line of text before it. */
const blocksOf = (text: string, language: string): { title: string; code: string }[] =>
  [...text.matchAll(new RegExp(`([^\\n]*)\\n\\n\`\`\`(?:${language})\\n([^]*?)\`\`\``, 'g'))].map(([, title = '', code = '']) => ({ title, code }))

const pairs = blocksOf(page('flock.md'), 'sh|bash').map(({ title, code }) => {
  const [, flock = '', storelock = ''] = /^# flock\n([\s\S]*)^# storelock\n([\s\S]*)$/m.exec(code) ?? []
  return { title: `${title.replace(/:$/, '')}: ${flock.split('\n').slice(0, 2).join(' ').trim()}`, flock, storelock }
})

let env: NodeJS.ProcessEnv
beforeEach(() => {
  const bin = join(place.folder, 'bin')
  mkdirSync(bin)
  symlinkSync(place.program, join(bin, 'storelock'))
  writeFileSync(join(place.folder, 'job.sh'), '#!/bin/sh\necho "the job $*"\nexit 3\n')
  chmodSync(join(place.folder, 'job.sh'), 0o755)
  env = { ...process.env, PATH: `${bin}:${process.env.PATH}`, STORELOCK_STORE: join(place.folder, 'locks.db') }
})

const start = (command: readonly string[]): Program => new Program(command, { cwd: place.folder, env })

/** Runs one side of a pair as a script. */
function script(text: string): Program {
  const file = join(place.folder, `script-${Math.random()}`)
  writeFileSync(file, `#!/bin/bash\n${text}`)
  chmodSync(file, 0o755)
  return start([file, 'one', 'two'])
}

/** Holds both locks until its input ends. */
async function taken(): Promise<Program> {
  const holder = start(['sh', '-c', `flock job.lock storelock run job sh -c 'echo "taken "; cat'`])
  await holder.shows(/(taken) /)
  return holder
}

const result = async (program: Program) => ({ ending: await program.ending(), printed: program.printed })

test('the page has a pair of commands for each option', async () => {
  expect(pairs.length).toBeGreaterThan(10)
  for (const { flock, storelock } of pairs)
    expect([flock, storelock]).toEqual([expect.stringContaining('flock'), expect.stringContaining('storelock')])
  const help = start(['flock', '--help'])
  await help.ending()
  const options = [...help.printed.matchAll(/^ -(\w), --/gm)].map(([, letter]) => letter).filter((letter) => !'hV'.includes(`${letter}`))
  expect(options.length).toBeGreaterThan(8)
  for (const letter of options) expect(page('flock.md')).toMatch(letter === 'F' ? /--no-fork/ : new RegExp(`-${letter}\\b`))
})

describe.each(pairs)('$title', { timeout: 60_000 }, ({ flock, storelock }) => {
  test('does the same with a free lock', async () => {
    expect(await result(script(storelock))).toEqual(await result(script(flock)))
  })

  test('does the same with a lock that is taken, for longer or for a moment', async () => {
    const holder = await taken()
    const [ours, theirs] = [script(storelock), script(flock)]
    // If flock does not wait, it has ended by then. Then ours has to end as well while the lock is taken, however slow this machine is.
    await Promise.race([theirs.ending(), new Promise((resolve) => setTimeout(resolve, 2_500))])
    if (theirs.over) await ours.ending()
    else expect(ours.over).toBe(false)
    holder.child.stdin?.end()
    expect(await result(ours)).toEqual(await result(theirs))
  })
})

describe('a scheduled job', { timeout: 60_000 }, () => {
  /** The page's command line, with this test's files in place of installed ones. */
  const here = (line: string): string =>
    line
      .replace(/\/usr\/local\/bin\/storelock|\/app\/node_modules\/\.bin\/storelock/, 'storelock')
      .replace(/\/opt\/report\.sh|node report\.js/, './job.sh')

  test('of cron runs as a line for sh, and prints nothing if the lock is taken', async () => {
    const lines = page('scheduled-jobs.md')
      .split('\n')
      .filter((line) => /^[*\d].*storelock run/.test(line))
      .map((line) => here(line.split(/\s+/).slice(5).join(' ')))
    expect(lines).toHaveLength(2)
    for (const line of lines)
      expect(await result(start(['/bin/sh', '-c', line]))).toMatchObject({ ending: 3, printed: expect.stringContaining('the job') })
    const holder = start(['storelock', 'run', 'report', 'cat'])
    await until(async () => {
      const shown = start(['storelock', 'show', 'report', '--json'])
      return (await shown.ending()) === 0 && JSON.parse(shown.printed).holders.length === 1
    })
    const refused = start(['/bin/sh', '-c', lines[0] as string])
    expect([await refused.ending(), refused.printed, refused.said]).toEqual([1, '', ''])
    holder.child.stdin?.end()
  })

  test('of systemd or Kubernetes runs as the page writes it', async () => {
    const [, unit = ''] = /^ExecStart=(.*)$/m.exec(page('scheduled-jobs.md')) ?? []
    const [, pod = '[]'] = /command: (\[.*\])/.exec(page('scheduled-jobs.md')) ?? []
    for (const line of [unit, (JSON.parse(pod) as string[]).join(' ')]) {
      expect(await result(start(here(line).split(' ')))).toMatchObject({ ending: 3, printed: expect.stringContaining('the job') })
    }
  })
})
