/** The machine's own chance, good enough for ids nobody may guess. */
import { randomBytes } from 'node:crypto'
import type { Random } from '../../io/random.ts'

export const nodeRandom: Random = { bytes: length => randomBytes(length) }
