import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

describe('a Node that is too old', () => {
  it('is told so before anything else is looked at', async () => {
    const versions = process.versions
    Object.defineProperty(process, 'versions', { value: { ...versions, node: '20.19.0' } })
    try {
      await assert.rejects(() => import('../index.ts'), {
        code: 'CONFIG',
        message: 'tidelog needs Node 24 or newer, this is 20.19.0.',
      })
    } finally {
      Object.defineProperty(process, 'versions', { value: versions })
    }
  })
})
