/** What a command of the metadata comes to. A refusal changes nothing. */
export type Outcome = Done | Refused

export interface Done {
  readonly ok: true
  readonly value: number
}

export interface Refused {
  readonly ok: false
  readonly error: Refusal
  readonly message: string
}

export type Refusal =
  /** The name or the id is taken. */
  | 'EXISTS'
  /** What the command is about is not there. */
  | 'UNKNOWN'
  /** The command was made for a state that has passed: look again. */
  | 'STALE'
  /** It would break a rule in any state. */
  | 'INVALID'
  /** The cluster has not agreed on the feature level that it needs. */
  | 'FEATURE'

export const done = (value = 0): Done => ({ ok: true, value })
export const refused = (error: Refusal, message: string): Refused => ({ ok: false, error, message })
