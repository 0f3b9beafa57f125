/** A check before it knows where the tools lie. */
import type { CheckContext } from '../harness/language.ts'
import type { Tools } from './tools.ts'

export interface Play {
  /** In a few words; its place in the table. */
  readonly name: string
  readonly limitMs: number
  readonly run: (tools: Tools, context: CheckContext) => Promise<void>
}
