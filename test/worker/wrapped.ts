import { Process, World } from '../locks/world.ts'
import { Page } from './page.ts'

/** Makes every process of a world use its locks through a worker from now on, so that the tests of locks also test wrapped ones. */
export function wrapAll(): void {
  World.prototype.process = function (options = {}) {
    const made = new Process(this, options)
    this.processes.push(made)
    const page = new Page(this, made, { sameThread: true, beacon: made.link.beacon, ...(options.onWarning && { onWarning: options.onWarning }) })
    Object.defineProperty(made, 'warnings', { value: page.warnings })
    Object.defineProperty(page, 'wall', { get: () => made.wall })
    return Object.assign(made, { locks: page.locks })
  }
}
