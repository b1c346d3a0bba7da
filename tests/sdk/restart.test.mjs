// Any role may die: with 20 sandboxes running, kill -9 of api, edge or node loses none of them.
import test, { after } from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { startServer, until, sleep } from './server.mjs'

const server = await startServer()
Object.assign(process.env, server.env)
after(() => server.stop())
const { Sandbox } = await import('e2b-new')

const count = 20
const sandboxes = []

test('twenty sandboxes start, each with a process and a file', async () => {
  for (let i = 0; i < count; i++) {
    const s = await Sandbox.create('base', { timeoutMs: 600_000, metadata: { index: String(i) } })
    await s.files.write('mine', `file of ${i}`)
    await s.commands.run('sleep 1000', { background: true })
    sandboxes.push(s)
  }
  assert.equal(new Set(sandboxes.map((s) => s.sandboxId)).size, count)
})

for (const role of ['api', 'edge', 'node']) {
  test(`kill -9 of ${role}: all are usable within a second`, async () => {
    const ends = new Map((await Sandbox.list().nextItems()).map((s) => [s.sandboxId, +s.endAt]))
    const pid = server.rolePid(role)
    assert.ok(pid > 0, `pid of ${role}`)
    process.kill(pid, 'SIGKILL')
    const killed = performance.now()
    await until(`${role} is back and the first sandbox answers`, async () => {
      const now = server.rolePid(role)
      if (!now || now === pid) return false
      return (await sandboxes[0].files.read('mine').catch(() => '')) === 'file of 0' &&
        (await fetch(`${server.url}/v2/sandboxes`, { headers: { 'X-API-Key': server.key } }).then((r) => r.ok, () => false))
    }, 3000)
    const took = performance.now() - killed
    console.log(`# ${role} was back after ${took.toFixed(0)} ms`)
    assert.ok(took < 1000, `took ${took} ms`)
    const listed = await Sandbox.list().nextItems()
    assert.equal(listed.length, count)
    for (const s of listed) assert.equal(+s.endAt, ends.get(s.sandboxId), 'endAt is unchanged')
    await Promise.all(sandboxes.map(async (s, i) => {
      assert.equal(await s.files.read('mine'), `file of ${i}`)
      assert.equal((await s.commands.run('pgrep -xc sleep')).stdout.trim(), '1')
    }))
  })
}

test('after all restarts a new sandbox starts and every one can be killed', async () => {
  const fresh = await Sandbox.create('base')
  assert.equal((await fresh.commands.run('echo fresh')).stdout, 'fresh\n')
  sandboxes.push(fresh)
  for (const s of sandboxes) assert.equal(await s.kill(), true)
  assert.deepEqual(await Sandbox.list().nextItems(), [])
})
