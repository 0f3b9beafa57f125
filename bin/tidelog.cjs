#!/usr/bin/env node
// The command of the installed package. Plain CommonJS that any Node understands, so that one too old says what to do in one
// line instead of failing on the first thing that it does not know.
'use strict'

const neededMajor = 24

if (Number(process.versions.node.split('.')[0]) < neededMajor) {
  process.stderr.write(`tidelog: needs Node ${neededMajor} or newer, this is ${process.versions.node}\n`)
  process.exit(1)
}
require('node:module').enableCompileCache()
import('../dist/cli/main.js').catch(error => {
  process.stderr.write(`tidelog: ${error}\n`)
  process.exit(1)
})
