import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { invariant } from '../../base/invariant.ts'
import { type SearchLimits, search } from './engine.ts'
import type { Model } from './model.ts'
import { walk } from './walk.ts'

const limits: SearchLimits = { statesMax: 1_000_000, timeMs: 30_000, now: () => performance.now() }

/** Nodes that count to `max`, each by itself. */
function counters(count: number, max: number): Model<{ value: number }, never, 'add', never, null> {
  return {
    name: 'counters',
    title: 'each counts by itself',
    limits: [],
    nodes: Array.from({ length: count }, () => ({ value: 0 })),
    env: null,
    network: 'keep',
    receiverOf: () => null,
    eventsAt: ({ value }) => (value < max ? ['add'] : []),
    act: node => {
      node.value += 1
      return { node }
    },
    receive: () => null,
    observe: env => env,
    printNode: ({ value }) => `${value}`,
    printMessage: () => '',
    printEvent: (event, index) => `${event} at ${index}`,
  }
}

interface Peer {
  readonly me: number
  state: 'idle' | 'asking' | 'inside'
  asked: boolean
}

interface Ask {
  readonly to: number
  readonly answer: boolean
}

/** Two peers that ask each other before they enter. The broken one says yes although it has asked itself. */
function mutualExclusion(isBroken: boolean): Model<Peer, Ask, 'ask', never, null> {
  return {
    name: 'mutual exclusion',
    title: 'one at a time',
    limits: [],
    nodes: [
      { me: 0, state: 'idle', asked: false },
      { me: 1, state: 'idle', asked: false },
    ],
    env: null,
    network: { consume: true, duplicatesMax: 0 },
    receiverOf: ({ to }) => to,
    eventsAt: ({ state, asked }) => (state === 'idle' && !asked ? ['ask'] : []),
    act: node => {
      node.state = 'asking'
      node.asked = true
      return { node, sends: [{ to: 1 - node.me, answer: false }] }
    },
    receive: (node, { answer }) => {
      if (answer) return { node: { ...node, state: 'inside' } }
      if (node.state === 'inside' || (node.state === 'asking' && !isBroken)) return null
      return { node, sends: [{ to: 1 - node.me, answer: true }] }
    },
    observe: env => env,
    checkPair: (one, other) => {
      invariant(one.state !== 'inside' || other.state !== 'inside', 'one peer at a time is inside')
    },
    sights: ({ state }) => (state === 'inside' ? ['inside'] : []),
    printNode: ({ me, state }) => `${me} ${state}`,
    printMessage: ({ to, answer }) => `${answer ? 'yes' : 'may I'} to ${to}`,
    printEvent: (_event, index) => `${index} asks`,
  }
}

describe('the search', () => {
  it('sees every state once, and says how deep they lie', () => {
    const result = search(counters(3, 9), limits)
    assert.equal(result.end, 'complete')
    assert.equal(result.states, 10 ** 3)
    assert.equal(result.depth, 27)
    assert.equal(result.transitions, 3 * 9 * 10 * 10)
    assert.equal(result.steps, 9, 'each distinct step is taken once')
  })

  it('finds nothing where nothing is broken, and says what it has reached', () => {
    const result = search(mutualExclusion(false), limits)
    assert.equal(result.end, 'complete')
    assert.deepEqual([...result.sights], [['inside', 2]])
  })

  it('shows what is broken by a shortest trace', () => {
    const { end, violation } = search(mutualExclusion(true), limits)
    assert.equal(end, 'violation')
    assert.equal(violation?.sentence, 'one peer at a time is inside')
    assert.equal(violation.trace.length, 6)
    assert.deepEqual([...violation.trace].sort(), [
      '0 asks',
      '1 asks',
      'deliver may I to 0',
      'deliver may I to 1',
      'deliver yes to 0',
      'deliver yes to 1',
    ])
    assert.deepEqual(violation.state, ['0 inside', '1 inside'])
  })

  it('shows the action that broke something in the middle', () => {
    const model = counters(2, 5)
    const { violation } = search(
      {
        ...model,
        act: node => {
          invariant(node.value < 3, 'nobody counts past three')
          return { node: { value: node.value + 1 } }
        },
      },
      limits,
    )
    assert.equal(violation?.sentence, 'nobody counts past three')
    assert.deepEqual(violation.trace, ['add at 0', 'add at 0', 'add at 0', 'add at 0'])
    assert.deepEqual(violation.state, ['3', '0'])
  })

  it('shows an initial state that is broken by no action at all', () => {
    const { violation } = search({ ...counters(1, 1), checkNode: () => invariant(false, 'never') }, limits)
    assert.deepEqual(violation, { sentence: 'never', trace: [], state: ['0'] })
  })

  it('takes what is urgent alone and at once, and tells of it in the trace', () => {
    // Each node counts to 3; from an odd number it goes on at once.
    const counting = counters(2, 3)
    const model: Model<{ value: number }, never, 'add' | 'go on', never, null> = {
      ...counting,
      eventsAt: ({ value }) => (value >= 3 ? [] : value % 2 === 1 ? ['go on'] : ['add']),
      isUrgent: event => event === 'go on',
      printEvent: (event, index) => `${event} at ${index}`,
    }
    // 0, 2 and 3 at each node: 1 is on the way, and only checked.
    assert.equal(search(model, limits).states, 9)
    const checked = {
      ...model,
      checkNode: ({ value }: { value: number }) => invariant(value !== 1, 'nobody passes 1'),
    }
    assert.deepEqual(search(checked, limits).violation?.trace, ['add at 0'])
    const later = { ...model, checkNode: ({ value }: { value: number }) => invariant(value !== 3, 'nobody gets to 3') }
    assert.deepEqual(search(later, limits).violation?.trace, ['add at 0', 'go on at 0', 'add at 0'])
  })

  it('says when a bound ended it', () => {
    assert.equal(search(counters(3, 99), { ...limits, statesMax: 1000 }).end, 'states')
    let nowMs = 0
    assert.equal(search(counters(3, 99), { ...limits, timeMs: 5, now: () => nowMs++ }).end, 'time')
  })

  it('catches a step that writes to what it shares', () => {
    const model = mutualExclusion(false)
    const { violation } = search(
      {
        ...model,
        receive: (node, message) => {
          Object.assign(message, { answer: true })
          return { node }
        },
      },
      limits,
    )
    assert.match(violation?.sentence ?? '', /read only property/)
  })
})

interface Letter {
  readonly to: number
  readonly text: string
}

/** One node sends two letters, another notes what it gets. */
function letters(network: Model<string[], Letter, string, string, number>['network']) {
  const model: Model<string[], Letter, string, string, number> = {
    name: 'letters',
    title: 'a post office',
    limits: [],
    nodes: [[], []],
    env: 0,
    network,
    receiverOf: ({ to }) => to,
    eventsAt: (node, _env, index) => (index === 0 && node.length === 0 ? ['write'] : []),
    act: node => ({ node: [...node, 'sent'], sends: ['a', 'b'].map(text => ({ to: 1, text })), notes: ['sent'] }),
    receive: (node, { text }) => (node.length < 3 ? { node: [...node, text] } : null),
    observe: (env, notes) => env + notes.length,
    printNode: node => node.join(''),
    printMessage: ({ text }) => text,
    printEvent: event => event,
  }
  return model
}

describe('the network of a model', () => {
  it('delivers once, in any order, or never', () => {
    // Before; then nothing, a, b, ab, ba.
    assert.equal(search(letters({ consume: true, duplicatesMax: 0 }), limits).states, 1 + 5)
  })

  it('delivers again within a bound', () => {
    // One repeat: of a and b in every order with one of them twice, a state for each word and what is still in flight.
    const { states, end } = search(letters({ consume: true, duplicatesMax: 1 }), limits)
    assert.equal(end, 'complete')
    assert.equal(states, 1 + 5 + 2 + 4 + 2 + 6)
  })

  it('delivers any number of times when it keeps what is in flight', () => {
    // All words over a and b of up to three letters.
    assert.equal(search(letters('keep'), limits).states, 1 + 1 + 2 + 4 + 8)
  })

  it('forgets what a model calls spent', () => {
    const model = letters('keep')
    const { violation } = search(
      {
        ...model,
        receive: (node, message) => (node.includes(message.text) ? null : model.receive(node, message)),
        isSpent: (node, { text }) => node.includes(text),
        checkNode: node => invariant(node.join('') !== 'ab', 'a before b'),
      },
      limits,
    )
    assert.deepEqual(violation?.state, ['sent', 'ab'])
  })

  it('forgets nothing that a node still reacts to, whatever the model says', () => {
    assert.equal(search({ ...letters('keep'), isSpent: () => true }, limits).states, 1 + 15)
  })

  it('takes a budget from the environment', () => {
    const model = letters('keep')
    const { states } = search(
      { ...model, eventsAt: (_node, env, index) => (index === 0 && env < 3 ? ['write'] : []) },
      limits,
    )
    assert.equal(states, 1 + 3 * 15)
  })
})

describe('a random walk', () => {
  const walkLimits = { seed: 7, timeMs: 2_000, actionsMax: 100, now: () => performance.now() }

  it('finds what is broken, and the same again with the same seed', () => {
    const found = walk(mutualExclusion(true), walkLimits)
    assert.equal(found.violation?.sentence, 'one peer at a time is inside')
    assert.deepEqual(walk(mutualExclusion(true), walkLimits), found)
  })

  it('walks until its time is over', () => {
    let nowMs = 0
    const { walks, violation } = walk(letters('keep'), { ...walkLimits, timeMs: 10, now: () => nowMs++ })
    assert.equal(violation, null)
    assert.equal(walks, 9)
  })
})
