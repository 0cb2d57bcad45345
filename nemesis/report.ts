import type { Result } from './run.ts'

const number = (value: number): string => value.toLocaleString('en')

/** The control and the fenced run side by side, as lines of text. */
export function table(control: Result, fenced: Result): string {
  const row = (name: string, cell: (result: Result) => string) => name.padEnd(34) + [control, fenced].map((each) => cell(each).padStart(14)).join('')
  const kinds = [...new Set([control, fenced].flatMap(({ faults }) => Object.keys(faults)))]
  return [
    row('', ({ name }) => name),
    row('time', ({ took }) => `${(took / 1_000).toFixed(1)} s`),
    row('grants', ({ grants }) => number(grants)),
    row('writes acknowledged', ({ acknowledged }) => number(acknowledged)),
    row('  refused', ({ refused }) => number(refused)),
    row('    by the store alone', ({ refusedBlind, fenced }) => (fenced ? number(refusedBlind) : '–')),
    row('  ambiguous', ({ ambiguous }) => number(ambiguous)),
    row('    of these written', ({ ambiguousWritten }) => number(ambiguousWritten)),
    row('faults', ({ faults }) => number(total(faults))),
    ...kinds.map((kind) => row(`  ${kind}`, ({ faults }) => number(faults[kind] ?? 0))),
    row('lives of the store', ({ lives }) => number(lives)),
    row('longest overlap of two holders', ({ overlap }) => `${Math.max(0, overlap.longest).toFixed(1)} ms`),
    row('  of which one had a wiped lock', ({ overlap }) => `${overlap.longestAfterWipe.toFixed(1)} ms`),
    row('lost updates', ({ lost }) => number(lost)),
    row('other violations', ({ violations }) => number(violations.filter(({ kind }) => kind !== 'lost update').length)),
  ].join('\n')
}

/** Other errors, which did not end the run, and how often each happened. */
export const troubles = (result: Result): string[] => Object.entries(result.troubles).map(([error, count]) => `  ${count} × ${error}`)

const total = (faults: Result['faults']): number => Object.values(faults).reduce((sum, count) => sum + count, 0)
