/** The version that the command line tells. */
export { version } from '../server/version.ts'
