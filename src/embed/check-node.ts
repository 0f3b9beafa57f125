/** Comes before everything else: a Node that is too old says so, instead of failing on the first thing that it does not know. */
import { TidelogError } from '../base/errors.ts'

const neededMajor = 24

const { node } = process.versions
if (Number(node.split('.')[0]) < neededMajor) {
  throw new TidelogError('CONFIG', `tidelog needs Node ${neededMajor} or newer, this is ${node}.`)
}
