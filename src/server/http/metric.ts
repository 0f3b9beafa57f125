/** A metric as a row of a table: what it is called, what it means, and how it is found in a snapshot of the node. */
import type { Histogram } from '../../base/histogram.ts'
import type { Snapshot } from './snapshot.ts'

export type Labels = Readonly<Record<string, string | number>>

export interface Sample {
  readonly labels?: Labels
  readonly value: number
}

export interface HistogramSample {
  readonly labels?: Labels
  /** In milliseconds; told in seconds. */
  readonly ms: Histogram
}

interface MetricFacts {
  readonly name: string
  /** With its unit where the name does not say it. */
  readonly help: string
  readonly labels?: readonly string[]
}

export type Metric =
  | (MetricFacts & { readonly type: 'gauge' | 'counter'; tell(snapshot: Snapshot): Iterable<Sample> | number })
  | (MetricFacts & { readonly type: 'histogram'; tell(snapshot: Snapshot): Iterable<HistogramSample> | Histogram })

/** A line of the text that Prometheus reads. */
export interface Line {
  readonly metricName: string
  readonly labels: Labels
  readonly value: number
}

export function linesOf(metric: Metric, snapshot: Snapshot): Line[] {
  if (metric.type === 'histogram') {
    const told = metric.tell(snapshot)
    const samples = 'bounds' in told ? [{ ms: told }] : told
    return Array.from(samples, sample => histogramLines(metric.name, sample)).flat()
  }
  const told = metric.tell(snapshot)
  const samples = typeof told === 'number' ? [{ value: told }] : told
  return Array.from(samples, ({ labels = {}, value }: Sample) => ({ metricName: metric.name, labels, value }))
}

function histogramLines(name: string, { labels = {}, ms }: HistogramSample): Line[] {
  const lines: Line[] = []
  let below = 0
  for (const [place, count] of ms.counts.entries()) {
    below += count
    const boundMs = ms.bounds[place]
    const le = boundMs === undefined ? '+Inf' : String(boundMs / 1000)
    lines.push({ metricName: `${name}_bucket`, labels: { ...labels, le }, value: below })
  }
  lines.push({ metricName: `${name}_sum`, labels, value: ms.sum / 1000 })
  lines.push({ metricName: `${name}_count`, labels, value: ms.count })
  return lines
}
