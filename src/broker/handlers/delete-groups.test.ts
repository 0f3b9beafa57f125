import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apis } from '../../wire/api-keys.ts'
import { versionsOf } from '../../wire/schema.ts'
import type { Access } from '../access.ts'
import { answerTo, commit, committed, described, stableGroup } from '../testing/group-client.ts'
import { errorIn, testBroker } from '../testing/test-broker.ts'

const api = apis.deleteGroups

for (const version of versionsOf(api.request)) {
  test(`pitfall 44: DeleteGroups ${version} answers each group by itself, and once`, async () => {
    const access: Access = { check: (_principal, { resource }, name) => resource !== 'group' || name !== 'secret' }
    const broker = testBroker({}, access)
    broker.storage.add('t')
    await stableGroup(broker)
    await commit(broker, [5], { groupId: 'old' })
    const asked = broker.ask(api, version, { groupsNames: ['old', 'g', 'nothing', 'secret', 'old', ''] })
    const { results } = await answerTo(broker, asked)
    assert.deepEqual(
      results.map(result => [result.groupId, errorIn(result)]),
      [
        ['old', 'NONE'],
        ['g', 'NON_EMPTY_GROUP'],
        ['nothing', 'GROUP_ID_NOT_FOUND'],
        ['secret', 'GROUP_AUTHORIZATION_FAILED'],
        ['', 'GROUP_ID_NOT_FOUND'],
      ],
    )
    assert.deepEqual(await committed(broker, 'old'), [])
    assert.equal(errorIn(await described(broker, 'old')), 'GROUP_ID_NOT_FOUND')
    assert.equal((await described(broker)).groupState, 'Stable')
  })
}
