/** @throws RangeError unless a timer can measure this many ms */
export function checkTimeout(timeout: number): void {
  if (!(timeout > 0 && timeout < 2 ** 31)) throw new RangeError(`timeout is a number of milliseconds above 0, not ${String(timeout)}`)
}
