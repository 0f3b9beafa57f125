/**
 * For `node --require`: what is compiled is kept for the next process. Each test file is a process of its own and loads many
 * of the same sources; stripping their types anew would be more than half of its time.
 */
const { enableCompileCache } = require('node:module')
const { join } = require('node:path')

enableCompileCache?.(join(__dirname, '..', '..', 'node_modules', '.cache', 'tidelog'))
