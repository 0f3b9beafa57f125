/** Templates of `produce --count`. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CliError } from './failure.ts'
import { compileTemplate } from './template.ts'

describe('a template', () => {
  it('counts, with and without the dot', () => {
    const fill = compileTemplate('message {{.Count}} of {{ Count }}')
    assert.equal(fill(1), 'message 1 of 1')
    assert.equal(fill(12), 'message 12 of 12')
  })

  it('tells times, ids and random text, anew each time', () => {
    assert.match(compileTemplate('{{.TimeStamp}}')(1), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
    assert.match(compileTemplate('{{.Unix}}')(1), /^\d{10}$/)
    assert.match(compileTemplate('{{.UnixMs}}')(1), /^\d{13}$/)
    const id = compileTemplate('{{.ID}}')
    assert.match(id(1), /^[0-9a-f-]{36}$/)
    assert.notEqual(id(1), id(1))
    assert.match(compileTemplate('<{{Random 3 5}}>')(1), /^<[A-Za-z0-9]{3,5}>$/)
    assert.equal(compileTemplate('{{.Random 4}}')(1).length, 4)
  })

  it('leaves everything else as it is', () => {
    for (const text of ['', 'plain', '{ {.Count} }', '{{', '}}']) assert.equal(compileTemplate(text)(1), text)
  })

  it('refuses what it does not know, and says what was probably meant', () => {
    const refusal = (text: string) => {
      try {
        compileTemplate(text)
      } catch (error) {
        assert.ok(error instanceof CliError)
        assert.equal(error.exitCode, 2)
        return error.message
      }
      return assert.fail(`${text} was taken`)
    }
    assert.match(refusal('{{.Cuont}}'), /did you mean \{\{\.Count\}\}\?/)
    assert.match(refusal('{{}}'), /there are \{\{\.Count\}\}/)
    assert.match(refusal('{{.Count 3}}'), /is no template/)
    assert.match(refusal('{{Random}}'), /is no template/)
    assert.match(refusal('{{Random 5 3}}'), /is no template/)
    assert.match(refusal('{{.__proto__}}'), /is no template/)
  })
})
