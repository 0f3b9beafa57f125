/**
 * `/metrics`: the text that Prometheus reads, metric by metric, with turns for others in between. Who asks within two seconds
 * of another gets the same text, so that no number of scrapers costs more than one.
 */
import { type Metric as PromMetric, Registry } from 'prom-client'
import { exporterMetrics } from './exporter-metrics.ts'
import { linesOf, type Metric } from './metric.ts'
import { nodeMetrics } from './node-metrics.ts'
import { type Snapshot, takeSnapshot } from './snapshot.ts'
import { breathe, type Subject } from './subject.ts'

const keptMsMax = 2_000

export const allMetrics: readonly Metric[] = [...nodeMetrics, ...exporterMetrics]

export class MetricsPage {
  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE
  readonly #subject: Subject
  #kept: { readonly text: string; readonly untilMs: number } | null = null
  #making: Promise<string> | null = null

  constructor(subject: Subject) {
    this.#subject = subject
  }

  async text(): Promise<string> {
    const { clock } = this.#subject
    if (this.#kept !== null && clock.monotonicMs() < this.#kept.untilMs) return this.#kept.text
    this.#making ??= this.#make().finally(() => {
      this.#making = null
    })
    return this.#making
  }

  async #make(): Promise<string> {
    const snapshot = await takeSnapshot(this.#subject)
    const text = await render(snapshot)
    this.#kept = { text, untilMs: this.#subject.clock.monotonicMs() + keptMsMax }
    return text
  }
}

async function render(snapshot: Snapshot): Promise<string> {
  const registry = new Registry()
  const parts: string[] = []
  for (const metric of allMetrics) {
    registry.registerMetric(rendered(metric, snapshot))
    parts.push(await registry.getSingleMetricAsString(metric.name))
    await breathe()
  }
  return `${parts.join('\n\n')}\n`
}

/** The library keeps metrics of its own kinds; all that its text needs of one is this. */
function rendered(metric: Metric, snapshot: Snapshot): PromMetric {
  const { name, help, type } = metric
  const get = async () => ({ name, help, type, aggregator: 'sum', values: linesOf(metric, snapshot) })
  return { name, get } as unknown as PromMetric
}
