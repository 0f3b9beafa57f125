/** Plays the scripts of `groups/` against Apache Kafka and writes its answers into them: `node conformance/apache-kafka/record.ts`. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startKafka } from '../harness/broker.ts'
import { printScript } from './group-script.ts'
import { playAll, scriptsFolder } from './language.ts'

await using broker = await startKafka()
let made = 0
const played = await playAll({ broker, unique: name => `${name}-${++made}` })
for (const { name, blocks } of played) writeFileSync(join(scriptsFolder, name), printScript(blocks))
process.stderr.write(`${played.length} scripts recorded from ${broker.title}\n`)
