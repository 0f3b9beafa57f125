import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type ChainSettings, chainSettingBounds, chainSettings, defaultChainSettings } from './settings.ts'

describe('the settings of the chain', () => {
  it('have defaults within their bounds', () => {
    for (const [name, { default: value, min, max }] of Object.entries(chainSettingBounds)) {
      assert.ok(min <= value && value <= max, name)
      assert.equal(defaultChainSettings[name as keyof ChainSettings], value)
    }
  })

  it('are taken at their bounds and refused beyond them', () => {
    for (const [name, { min, max }] of Object.entries(chainSettingBounds)) {
      assert.notEqual(chainSettings({ [name]: min }), null, name)
      assert.notEqual(chainSettings({ [name]: max }), null, name)
      assert.equal(chainSettings({ [name]: min - 1 }), null, name)
      assert.equal(chainSettings({ [name]: Number.NaN }), null, name)
    }
  })
})
