import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { startAtOnce } from './cli/crowd.ts'
import { Program } from './cli/program.ts'
import { withProgram } from './cli/setup.ts'

const place = withProgram()

const programFolder = (): string => dirname(place.main)
const compiled = (): string[] => readdirSync(programFolder()).filter((name) => name.includes('.cache'))

/** A run through Node, which tells on stderr whether V8 took the compiled code. */
const told = ({ before = [], flags = [] }: { before?: string[]; flags?: string[] } = {}): Program => {
  writeFileSync(
    join(place.folder, 'tell.cjs'),
    `const vm = require('node:vm')
    vm.Script = class extends vm.Script {
      constructor(code, options) {
        super(code, options)
        if (options.cachedData) console.error(this.cachedDataRejected ? 'refused' : 'taken')
      }
    }`,
  )
  const command = [...before, process.execPath, ...flags, '--require', join(place.folder, 'tell.cjs'), place.main, 'run', 'job', 'echo', 'ran']
  return new Program(command, { cwd: place.folder })
}

const ran = async (program: Program): Promise<string> => {
  expect(await program.ending()).toBe(0)
  expect(program.printed).toBe('ran\n')
  return program.said.split('\n').find((line) => line === 'refused' || line === 'taken') ?? 'compiled'
}

describe('the code that V8 has compiled', { timeout: 60_000 }, () => {
  beforeEach(() => {
    for (const name of compiled()) rmSync(join(programFolder(), name))
  })

  test('is left beside the program by the first run, and by no other command', async () => {
    await new Program([place.program, 'ls'], { cwd: place.folder }).ending()
    expect(compiled()).toEqual([])
    expect(await new Program([place.program, 'run', 'job', 'true'], { cwd: place.folder }).ending()).toBe(0)
    expect(compiled()).toEqual([expect.stringMatching(/^main-[\d.]+.*\.cache$/)])
  })

  test('is taken by later runs', async () => {
    expect(await ran(told())).toBe('compiled')
    expect(await ran(told())).toBe('taken')
  })

  test.each([
    ['empty', () => Buffer.alloc(0)],
    ['nonsense', () => Buffer.from('nonsense')],
    ['cut off', (code: Buffer) => code.subarray(0, code.length / 2)],
  ] as const)('is not used if it is %s, and stays as it is', async (_, spoil) => {
    await ran(told())
    const path = join(programFolder(), compiled()[0] as string)
    const spoiled = spoil(readFileSync(path))
    writeFileSync(path, spoiled)
    expect(await ran(told())).toBe('refused')
    expect(readFileSync(path).equals(spoiled)).toBe(true)
  })

  test('is not used with other flags, and stays for those it was made for', async () => {
    await ran(told())
    expect(await ran(told({ flags: ['--no-opt'] }))).toBe('refused')
    expect(await ran(told())).toBe('taken')
  })

  test('is whole, and left once, if many first runs end at once', async () => {
    const { failures } = await startAtOnce(20, [process.execPath, place.main, 'run', 'job', '--store', join(place.folder, 'a.db'), 'true'])
    expect(failures).toEqual([])
    expect(compiled()).toHaveLength(1)
    expect(await ran(told())).toBe('taken')
  })

  test('is not left where this user must not write, and the run does not mind', async () => {
    const isRoot = process.getuid?.() === 0
    chmodSync(place.folder, 0o777)
    chmodSync(programFolder(), isRoot ? 0o755 : 0o555)
    try {
      expect(await ran(told({ before: isRoot ? ['setpriv', '--reuid=61234', '--regid=61234', '--clear-groups'] : [] }))).toBe('compiled')
    } finally {
      chmodSync(programFolder(), 0o755)
    }
    expect(compiled()).toEqual([])
  })
})
