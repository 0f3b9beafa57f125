/** `tidelog inspect`: each file is read from its beginning to its end, shown or only judged. */
import { exitCodes } from '../base/errors.ts'
import { CliError } from './failure.ts'
import { detect } from './inspect/detect.ts'
import type { Finding } from './inspect/finding.ts'
import { report } from './inspect/report.ts'
import { Source } from './inspect/source.ts'
import type { OutputFlags } from './options.ts'
import { counted, show, tableOf } from './output.ts'
import { say } from './say.ts'

interface InspectFlags extends OutputFlags {
  readonly check?: boolean
  readonly records?: boolean
  readonly count?: number
}

export async function inspect(paths: readonly string[], flags: InspectFlags): Promise<void> {
  const damaged = flags.check === true ? await check(paths, flags) : await showAll(paths, flags)
  if (damaged.length === 0) return
  throw new CliError(exitCodes.runtime, `${damaged.join(', ')}: damaged; the places are told above`)
}

/** Returns those that are damaged. */
async function showAll(paths: readonly string[], { records = false, output, count }: InspectFlags): Promise<string[]> {
  const damaged: string[] = []
  for (const path of paths) {
    using source = Source.open(path)
    const { format, read } = detect(source, { records: false, showRecords: records })
    const { problems } = await report(source, format, read(source), {
      output,
      entriesMax: count ?? Number.MAX_SAFE_INTEGER,
    })
    if (problems > 0) damaged.push(path)
  }
  return damaged
}

/** `inspect --check -o json` is a list of these. */
interface Verdict {
  readonly file: string
  readonly format: string
  readonly sound: boolean
  readonly entries: number
  readonly problems: readonly { readonly position: number; readonly message: string }[]
  readonly notes: readonly string[]
}

async function check(paths: readonly string[], { output }: InspectFlags): Promise<string[]> {
  const verdicts = paths.map(verdictOf)
  await show(output, {
    data: verdicts.map(verdict => ({ ...verdict, problems: verdict.problems.map(problem => ({ ...problem })) })),
    names: () => verdicts.filter(({ sound }) => sound).map(({ file }) => file),
    table: () =>
      tableOf<Verdict>(
        [
          { title: 'file', of: verdict => verdict.file },
          { title: 'format', of: verdict => verdict.format },
          { title: 'entries', of: verdict => verdict.entries, right: true },
          { title: 'verdict', of: ({ sound, problems }) => (sound ? 'sound' : counted(problems.length, 'problem')) },
        ],
        verdicts,
      ),
  })
  for (const { file, problems } of verdicts) {
    for (const { position, message } of problems) say(`${file}, position ${position}: ${message}`)
  }
  return verdicts.filter(({ sound }) => !sound).map(({ file }) => file)
}

function verdictOf(path: string): Verdict {
  using source = Source.open(path)
  const { format, read } = detect(source, { records: true, showRecords: false })
  const problems: { position: number; message: string }[] = []
  const notes: string[] = []
  let entries = 0
  const take = (finding: Finding) => {
    if (finding.is === 'entry') entries++
    else if (finding.is === 'note') notes.push(finding.message)
    else if (finding.is === 'problem') problems.push({ position: finding.position, message: finding.message })
  }
  for (const finding of read(source)) take(finding)
  return { file: path, format: format.name, sound: problems.length === 0, entries, problems, notes }
}
