import { afterEach, expect, test, vi } from 'vitest'
import { pageClock } from '../../src/locks/page-clock.ts'
import { Window } from './window.ts'

afterEach(() => {
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
})

/** Blocks the event loop: time passes, and no timer runs. */
const block = (ms: number): void => {
  const end = performance.now() + ms
  while (performance.now() < end);
}

test('timers that fell due while a page slept run when it resumes', () => {
  const ran: string[] = []
  const page = new Window()
  const clock = pageClock(page)
  page.addEventListener('resume', () => ran.push('listener'))
  clock.after(1, () => ran.push('due'))
  clock.after(60_000, () => ran.push('later'))
  block(2)
  page.tell('resume')
  expect(ran).toEqual(['due', 'listener'])
})

test('a timer runs once, and a cancelled one does not', async () => {
  const ran: string[] = []
  const page = new Window()
  const clock = pageClock(page)
  clock.after(1, () => {
    ran.push('first')
    callOff()
  })
  const callOff = clock.after(1, () => ran.push('called off'))
  block(2)
  page.tell('visibilitychange')
  await new Promise<void>((resolve) => clock.after(3, resolve))
  expect(ran).toEqual(['first'])
})

test('without a worker, as in jsdom, a hidden page warns once, and its timers still run', async () => {
  // Pages in jsdom are hidden, and have neither Worker nor URL.createObjectURL.
  vi.stubGlobal('Worker', undefined)
  vi.spyOn(URL, 'createObjectURL').mockImplementation(() => {
    throw new TypeError('URL.createObjectURL is not a function')
  })
  const page = new Window()
  const clock = pageClock(page)
  const told: string[] = []
  clock.onDegraded?.(({ message }) => told.push(message))
  page.document.hidden = true
  page.tell('visibilitychange')
  expect(told).toEqual([])
  await new Promise<void>((resolve) => clock.after(1, resolve))
  await new Promise<void>((resolve) => clock.after(1, resolve))
  expect(told).toEqual([expect.stringMatching(/while it is hidden.*there is no Worker here$/)])
  clock.onDegraded?.(({ message }) => told.push(message))
  expect(told).toHaveLength(2)
})
