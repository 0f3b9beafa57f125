// Loads the broker and the most used commands once after an install, so that Node keeps their compiled sources: stripping
// types at a first start costs more than anything else in it. Nothing depends on it: where it cannot be done, the first start
// is slower.
const module_ = require('node:module')
const { join } = require('node:path')

const root = join(__dirname, '..', '..')

async function warmUp() {
  if (Number(process.versions.node.split('.')[0]) < 24) return
  module_.enableCompileCache(join(root, 'node_modules', '.cache', 'tidelog'))
  await import('./start.ts')
  await import('../server/log.ts')
  await import('../server/server.ts')
  for (const verb of ['topic-show', 'produce-run', 'consume-run', 'group-show']) await import(`./${verb}.ts`)
  await import('../server/http/app.ts')
  module_.flushCompileCache()
}

warmUp().catch(() => {})
