/** docs/metrics.md is written by this test: with `REWRITE=1` from the tables of metrics as they are, else compared with them. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { exporterMetrics } from '../src/server/http/exporter-metrics.ts'
import type { Metric } from '../src/server/http/metric.ts'
import { nodeMetrics } from '../src/server/http/node-metrics.ts'
import { snapshotBounds } from '../src/server/http/snapshot.ts'
import { root } from './support/source.ts'

const { REWRITE } = process.env
const path = join(root, 'docs', 'metrics.md')

const intro = `# Metrics

\`http://localhost:8080/metrics\` is what Prometheus scrapes:

\`\`\`yaml
scrape_configs:
  - job_name: tidelog
    static_configs:
      - targets: ["localhost:8080"]
\`\`\`

A name that is neither \`localhost\` nor an address must be one of \`--http-names\` (see [http.md](http.md#safety)). Names end with their
unit: \`_seconds\`, \`_bytes\`; \`_total\` for what only rises, from the node's start. Who scrapes within two seconds of another gets the
same figures.

**Bounds.** Series of their own have the topics with together at most ${snapshotBounds.partitionsMax} partitions, in order of name (a topic for which there is no room
any more is left out as a whole, and a smaller one behind it is not), ${snapshotBounds.groupsMax} groups and ${snapshotBounds.offsetsMax} committed offsets. What is left out is counted
by \`tidelog_metrics_left_out\`, and is part of the figures without labels. For one scrape at most ${snapshotBounds.lookUpsMax} records are looked up for
\`tidelog_group_lag_seconds\`, and remembered; where more are needed, the next scrapes have the rest.

What to look at first:

| question | PromQL |
| --- | --- |
| how long an acknowledgement takes, 99 of 100 | \`histogram_quantile(0.99, rate(tidelog_request_seconds_bucket{api="Produce"}[5m]))\` |
| how long the disk takes for a sync | \`histogram_quantile(0.99, rate(tidelog_journal_sync_seconds_bucket[5m]))\` |
| how far consumers are behind | \`max by (consumergroup) (tidelog_group_lag_seconds)\`, \`sum by (consumergroup) (kafka_consumergroup_lag)\` |
| what readers get out of memory | \`rate(tidelog_cache_hit_bytes_total[5m]) / rate(tidelog_fetched_bytes_total[5m])\` |
| when the disk is full | \`tidelog_disk_free_bytes / tidelog_disk_total_bytes\` |

(Written by \`test/metrics-docs.test.ts\` from the tables in \`src/server/http\`; \`REWRITE=1\` writes it anew.)
`

function page(): string {
  return [
    intro,
    '## Of this node\n',
    table(nodeMetrics),
    '## As kafka_exporter tells them\n',
    'Dashboards and alerts made for [kafka_exporter](https://github.com/danielqsj/kafka_exporter) work as they are.\n',
    table(exporterMetrics),
  ].join('\n')
}

function table(metrics: readonly Metric[]): string {
  const rows = metrics.map(({ name, type, labels = [], help }) => [
    `\`${name}\``,
    type,
    labels.map(label => `\`${label}\``).join(', '),
    help,
  ])
  const head = ['metric', 'type', 'labels', 'what it is']
  return `${[head, head.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')}\n`
}

describe('docs/metrics.md', () => {
  it('tells the metrics as they are', () => {
    const expected = page()
    if (REWRITE === '1') writeFileSync(path, expected)
    assert.equal(readFileSync(path, 'utf8'), expected, 'REWRITE=1 writes it anew')
  })

  it('has units in names, and a sentence for each', () => {
    for (const { name, type, help } of [...nodeMetrics, ...exporterMetrics]) {
      assert.equal(name.endsWith('_total'), type === 'counter', name)
      assert.match(name, /^[a-z][a-z_]+$/)
      assert.match(help, /^[0-9A-Z'].*\.$/, name)
    }
  })
})
