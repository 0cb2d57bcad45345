const steps = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'm'],
  [1_000, 's'],
] as const

/** A duration in ms as text: `2m 5s`. */
export function inWords(ms: number): string {
  const at = steps.findIndex(([length]) => ms >= length)
  if (at < 0) return ms > 0 ? `${(ms / 1_000).toFixed(1)}s` : '0s'
  const [length, unit] = steps[at] as (typeof steps)[number]
  const whole = Math.floor(ms / length)
  const [lower, lowerUnit] = steps[at + 1] ?? [0, '']
  const rest = lower ? Math.floor((ms - whole * length) / lower) : 0
  return rest ? `${whole}${unit} ${rest}${lowerUnit}` : `${whole}${unit}`
}
