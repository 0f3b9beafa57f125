/** x */
import type { Command } from 'commander'
export function define(p: Command): void {
  p.command('inspect')
}
