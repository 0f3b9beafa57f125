/** The text protocol as a service of connections: commands in their order, replies as frames or lines. */
import type { ConnectionContext } from '../broker/context.ts'
import { parseCommand } from '../broker/text/commands.ts'
import type { TextDoor, TextReply } from '../broker/text/text-door.ts'
import { encodeTextReply, type TextContent, type TextFrame, type TextMode, textFaults } from '../wire/text.ts'
import { CommandTurns } from './command-turns.ts'
import type { SentAnswer, Service } from './connection.ts'

/** What answers one command. It has begun when the call returns. */
export type RunCommand = (content: TextContent) => Promise<TextReply>

export function textService(run: RunCommand): Service<TextFrame> {
  const turns = new WeakMap<ConnectionContext, CommandTurns>()
  const turnsOf = (connection: ConnectionContext): CommandTurns => {
    const known = turns.get(connection) ?? new CommandTurns()
    turns.set(connection, known)
    return known
  }
  return {
    answerSize: ({ content }) => (isPut(content) ? 'small' : 'large'),
    async answer({ mode, content }, connection) {
      const reply = await turnsOf(connection).run(isPut(content), () => run(content))
      return answerOf(mode, reply)
    },
  }
}

/** Those may be under way side by side: each has its place in its topic when it has begun. */
export function isPut(content: TextContent): boolean {
  return 'text' in content && content.text.startsWith('PUT ')
}

export async function runCommand(door: TextDoor, content: TextContent): Promise<TextReply> {
  return 'text' in content ? door.run(parseCommand(content.text)) : { text: textFaults[content.fault] }
}

/** Length and text are one buffer: there are clients that take what comes first for all. */
function answerOf(mode: TextMode, { text, line, settled }: TextReply): SentAnswer {
  const bytes = encodeTextReply(mode, mode === 'lines' ? (line ?? text) : text)
  const answer = { chunks: [bytes], length: bytes.length }
  return settled === undefined ? answer : { ...answer, settled }
}
