import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryDisk } from './disk.ts'
import { Scheduler } from './scheduler.ts'

async function busyRun(seed: number): Promise<string> {
  const scheduler = new Scheduler(seed)
  const disk = new MemoryDisk({
    prng: scheduler.prng.fork(),
    schedule: (operation, stallMs, task) =>
      void scheduler.after(stallMs + scheduler.prng.float(), () => {
        scheduler.note(operation.kind, operation.path, operation.position, operation.bytes)
        task()
      }),
  })
  const clock = scheduler.clock(() => disk.alive)
  const actor = async (name: string) => {
    const file = await disk.open(name, 'create')
    for (let round = 0; ; round++) {
      await Promise.all([file.write([Buffer.alloc(100)], round * 100), file.size()])
      await new Promise<void>(resolve => clock.setTimer(1, resolve))
    }
  }
  for (let i = 0; i < 5; i++) void actor(`file-${i}`)
  await scheduler.run(100)
  return scheduler.hash
}

test('a seed is a run', async () => {
  const first = await busyRun(1)
  assert.equal(await busyRun(1), first)
  assert.notEqual(await busyRun(2), first)
})

test('events happen in order of time, and everything that waits for promises has run before the next', async () => {
  const scheduler = new Scheduler(1)
  const seen: string[] = []
  scheduler.after(2, () => void seen.push(`second at ${scheduler.nowMs}`))
  scheduler.after(1, async () => {
    for (let i = 0; i < 100; i++) await null
    await new Promise<void>(resolve => process.nextTick(resolve))
    for (let i = 0; i < 100; i++) await null
    seen.push(`first at ${scheduler.nowMs}`)
  })
  const cancelled = scheduler.after(1.5, () => void seen.push('cancelled'))
  cancelled.cancel()
  assert.equal(await scheduler.run(10, () => seen.length === 2), true)
  assert.deepEqual(seen, ['first at 1', 'second at 2'])
  assert.equal(await scheduler.run(10), false)
  assert.equal(scheduler.nowMs, 12)
})

test('timers are never early, and die with their process', async () => {
  const scheduler = new Scheduler(3)
  let alive = true
  const clock = scheduler.clock(() => alive)
  const fired: number[] = []
  for (let i = 0; i < 50; i++) clock.setTimer(10, () => void fired.push(clock.monotonicMs()))
  await scheduler.run(100)
  assert.equal(fired.length, 50)
  assert.ok(fired.every(at => at >= 10))
  clock.setTimer(10, () => void fired.push(0))
  alive = false
  await scheduler.run(100)
  assert.equal(fired.length, 50)
})
