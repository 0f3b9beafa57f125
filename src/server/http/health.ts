/** Whether this node lives, and whether it may be sent clients: what `/livez` and `/readyz` say. */

/** Why the node is not ready. */
export interface Reason {
  /** For programs; never changes its meaning. */
  readonly code: 'RECOVERING' | 'STOPPING'
  readonly message: string
}

const recovering: Reason = { code: 'RECOVERING', message: 'what the process before left on disk is being read' }
const stopping: Reason = { code: 'STOPPING', message: 'the node stops: what is in flight is finished' }

/** Begins not ready; ready when everything is recovered and every door is open, until the first moment of the end. */
export class Health {
  #reasons: readonly Reason[] = [recovering]

  get reasons(): readonly Reason[] {
    return this.#reasons
  }

  get isReady(): boolean {
    return this.#reasons.length === 0
  }

  ready(): void {
    if (this.#reasons[0] !== stopping) this.#reasons = []
  }

  stopping(): void {
    this.#reasons = [stopping]
  }
}
