/**
 * A log inside a program: what happened is on disk before it counts as happened, and whoever works through it goes on where he was,
 * however the program ended. Run it twice.
 */
import { openLog } from 'tidelog'

await using log = await openLog('./audit-log', { name: 'audit' })

// On disk when the await is over. Appends that are under way at the same time share one sync.
await Promise.all(['ada signed in', 'ada changed her name', 'ada signed out'].map(what => log.append(what)))

// A cursor is a name for a place in the log, and is as durable as the log.
const mailer = log.cursor('mailer')
let mailed = 0
for await (const { offset, value } of mailer.read()) {
  console.log(`${offset}: ${value}`)
  await mailer.save(offset + 1)
  mailed++
}

const { start, end, bytes } = log.stats()
console.log(`mailed ${mailed} of offsets ${start} to ${end - 1}, ${bytes} bytes`)
