import { execFile } from 'node:child_process'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createLocks } from 'storelock'
import { httpStore } from 'storelock/stores/http'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { root } from '../test/house/installed.ts'
import { Program } from './cli/program.ts'
import { withProgram } from './cli/setup.ts'

const place = withProgram()

const recipe = (name: string): string => readFileSync(join(root, 'test/recipes/cron', name), 'utf8')
const token = 'the-token-of-the-jobs-0123456789'

interface CronJob {
  readonly apiVersion: string
  readonly kind: string
  readonly spec: { readonly concurrencyPolicy: string; readonly jobTemplate: { readonly spec: { readonly template: { readonly spec: PodSpec } } } }
}
interface PodSpec {
  readonly restartPolicy: string
  readonly containers: readonly { readonly command: readonly string[] }[]
}

const containerOf = (job: CronJob) => job.spec.jobTemplate.spec.template.spec.containers[0]

/** The command that each way of starting a job runs. */
const commands: Record<string, () => readonly string[]> = {
  cron: () => ['sh', '-c', /^\S+ \S+ \S+ \S+ \S+ +report +(.*)$/m.exec(recipe('report.cron'))?.[1] ?? ''],
  systemd: () => ['sh', '-c', `set -a; . /etc/report/locks.env; exec ${/^ExecStart=(.*)$/m.exec(recipe('report.service'))?.[1]}`],
  Kubernetes: () => ['sh', '-c', 'set -a; . /etc/report/locks.env; exec "$@"', 'sh', ...(containerOf(parse(recipe('report.yaml')))?.command ?? [])],
}

/** Replaces the paths of an installed system by those of this test. */
const installed = (text: string): string =>
  text
    .replaceAll('/etc/report/locks.env', join(place.folder, 'locks.env'))
    .replaceAll('/opt/report.sh', join(place.folder, 'report.sh'))
    .replaceAll(/(\/usr\/local\/bin\/|\/app\/node_modules\/\.bin\/|exec )storelock/g, (_, path) => `${path === 'exec ' ? path : ''}${place.program}`)

/** Starts a lock server, and writes a file with its address and a job that works until a certain file exists. */
async function prepare(): Promise<{ readonly url: string; finish(): void }> {
  const clients = join(place.folder, 'clients.json')
  writeFileSync(clients, JSON.stringify([{ name: 'jobs', token, prefixes: ['report'] }]), { mode: 0o600 })
  const server = new Program([process.execPath, place.main, 'serve', '--store', 'locks.db', '--clients', clients, '--listen', '0'], {
    cwd: place.folder,
  })
  const url = await server.shows(/ at (http:\S+)$/m)
  const env = recipe('locks.env').replace(/^(STORELOCK_STORE=).*$/m, `$1${url}`)
  writeFileSync(join(place.folder, 'locks.env'), env.replace(/^(STORELOCK_SERVER_TOKEN=).*$/m, `$1${token}`))
  const report = join(place.folder, 'report.sh')
  const done = join(place.folder, 'done')
  writeFileSync(report, `#!/bin/sh\necho "started"\nwhile ! [ -e ${done} ]; do sleep 0.05; done\necho "ended"\n`)
  chmodSync(report, 0o755)
  return { url, finish: () => writeFileSync(done, '') }
}

const start = (command: readonly string[]): Program => new Program(command.map(installed), { cwd: place.folder, env: { PATH: process.env.PATH } })

describe('the recipe for scheduled jobs', { timeout: 60_000 }, () => {
  test.each(['cron', 'systemd'])('for %s runs the job once, and the other machine’s run ends with 1 and prints nothing', async (way) => {
    const { finish } = await prepare()
    const first = start(commands[way]?.() ?? [])
    await first.shows(/(started)/)
    const second = start(commands[way]?.() ?? [])
    expect([await second.code(), second.printed, second.said]).toEqual([1, '', ''])
    finish()
    expect([await first.code(), first.printed]).toEqual([0, 'started\nended\n'])
  })

  test('for Kubernetes waits until the job of the other cluster has ended', async () => {
    const { url, finish } = await prepare()
    const first = start(commands.Kubernetes?.() ?? [])
    await first.shows(/(started)/)
    const second = start(commands.Kubernetes?.() ?? [])
    const locks = createLocks({ store: httpStore(url, { token }) })
    onTestFinished(() => locks.close())
    while (!(await locks.query('report')).pending.length);
    expect(second.printed).toBe('')
    finish()
    expect([await first.code(), await second.code(), second.printed]).toEqual([0, 0, 'started\nended\n'])
  })

  test('has a CronJob that starts no second pod', () => {
    const job = parse(recipe('report.yaml')) as CronJob
    expect([job.apiVersion, job.kind, job.spec.concurrencyPolicy]).toEqual(['batch/v1', 'CronJob', 'Forbid'])
    expect(job.spec.jobTemplate.spec.template.spec.restartPolicy).toBe('Never')
  })

  test.runIf(existsSync('/usr/bin/systemd-analyze'))('has units in which systemd-analyze finds no error', async () => {
    await prepare()
    for (const name of ['report.service', 'report.timer'])
      writeFileSync(join(place.folder, name), installed(recipe(name)).replace('User=report\n', ''))
    const { stdout, stderr } = await promisify(execFile)('systemd-analyze', ['verify', '--man=no', join(place.folder, 'report.timer')])
    expect(stdout + stderr).toBe('')
  })
})
