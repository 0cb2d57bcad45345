import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, View } from 'vega'
import { compile, type TopLevelSpec } from 'vega-lite'
import type { Curve } from './figure.ts'

interface Plot {
  readonly title: string
  readonly x: string
  readonly y: string
  /** Whether to draw each point, because there are few, and values between them were not measured. */
  readonly dots: boolean
}

/** By file name. */
const plots: Readonly<Record<Curve['plot'], Plot>> = {
  handoff: { title: 'Hand-off between two processes', x: 'from release to the next callback, µs (log)', y: 'of hand-offs, %', dots: false },
  tabs: { title: 'Hand-off between two tabs', x: 'from release to the next callback, ms (log)', y: 'of hand-offs, %', dots: false },
  waiters: { title: 'Hand-off while many wait', x: 'sessions that wait (log)', y: 'from release to the next callback, µs', dots: true },
  keys: { title: 'Acquire + release among many keys', x: 'keys in the store (log)', y: 'acquire + release, µs', dots: true },
}

/** A grey that is legible on white and on black pages. */
const ink = '#7d8590'
const lines = ['#2f81f7', '#e5534b', '#d29922', '#57ab5a', '#b083f0', '#e0823d', '#39c5cf', '#e275ad', '#8b949e']

/** Draws the plots for which there are curves, as SVG files in a folder. */
export async function drawPlots(curves: readonly Curve[], folder: string, machine: string): Promise<{ path: string; title: string }[]> {
  const drawn: { path: string; title: string }[] = []
  for (const [name, plot] of Object.entries(plots)) {
    const own = curves.filter((curve) => curve.plot === name)
    if (!own.length) continue
    const path = join(folder, `${name}.svg`)
    const view = new View(parse(compile(specOf(plot, own, machine)).spec), { renderer: 'none' })
    writeFileSync(path, `${await view.toSVG()}\n`)
    view.finalize()
    drawn.push({ path, title: plot.title })
  }
  return drawn
}

function specOf({ title, x, y, dots }: Plot, curves: readonly Curve[], machine: string): TopLevelSpec {
  const names = curves.map(({ series }) => series)
  const values = curves.flatMap(({ series, points }) => points.map(([x, y]) => ({ series, x, y })))
  const marks = dots ? [...new Set(values.map(({ x }) => x))] : decades(values.map(({ x }) => x))
  return {
    width: 560,
    height: 280,
    background: 'transparent',
    title: { text: title, subtitle: machine, anchor: 'start' },
    data: { values },
    mark: { type: 'line', point: dots, strokeWidth: 2, interpolate: dots ? 'linear' : 'step-after' },
    encoding: {
      x: { field: 'x', type: 'quantitative', title: x, scale: { type: 'log', nice: !dots }, axis: { format: ',~r', values: marks } },
      y: { field: 'y', type: 'quantitative', title: y, scale: { zero: true } },
      color: {
        field: 'series',
        type: 'nominal',
        scale: { domain: names, range: lines },
        legend: { orient: 'bottom', direction: 'vertical', columns: names.length > 3 ? 2 : 1, title: null, labelLimit: 600, symbolType: 'stroke' },
      },
    },
    config: {
      font: 'system-ui, sans-serif',
      title: { color: ink, subtitleColor: ink },
      axis: { labelColor: ink, titleColor: ink, gridColor: ink, gridOpacity: 0.25, domainColor: ink, tickColor: ink },
      legend: { labelColor: ink },
      view: { stroke: null },
    },
  }
}

/** The powers of ten in the range of the values. */
function decades(values: readonly number[]): number[] {
  const first = Math.floor(Math.log10(Math.min(...values)))
  const last = Math.ceil(Math.log10(Math.max(...values)))
  return Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index))
}
