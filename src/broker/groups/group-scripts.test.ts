import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { runScript } from './testing/script.ts'

const { REWRITE } = process.env
const folder = fileURLToPath(new URL('testdata/', import.meta.url))

describe('the scripts of groups in testdata', () => {
  for (const file of readdirSync(folder).sort()) {
    it(file.replace('.txt', '').replaceAll('_', ' '), () => {
      const { expected, actual } = runScript(`${folder}${file}`)
      if (REWRITE !== '1') assert.equal(actual, expected)
    })
  }
})
