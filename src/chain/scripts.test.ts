import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { runScript } from './testing/script.ts'

const { REWRITE } = process.env
const folder = new URL('testdata/', import.meta.url)

describe('recorded scripts of the chain', () => {
  for (const name of readdirSync(folder).sort()) {
    it(name, () => {
      const path = new URL(name, folder)
      const recorded = readFileSync(path, 'utf8')
      const trace = runScript(recorded)
      if (REWRITE === '1') writeFileSync(path, trace)
      else assert.equal(trace, recorded)
    })
  }
})
