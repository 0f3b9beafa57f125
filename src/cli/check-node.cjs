// The first file that `npm test` runs. Plain CommonJS that any Node understands, so that one too old for the rest says what
// to do in one line instead of failing on the first type annotation.
'use strict'

const neededMajor = 24

if (Number(process.versions.node.split('.')[0]) < neededMajor) {
  process.stderr.write(
    `tidelog: needs Node ${neededMajor} or newer, this is ${process.versions.node}; run 'npm install' (it brings one along for Linux and Windows) or install Node ${neededMajor}\n`,
  )
  process.exitCode = 1
}
