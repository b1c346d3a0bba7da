// Lives, lists and repeated creates through the official JavaScript SDK of both generations.
import test, { after } from 'node:test'
import assert from 'node:assert/strict'
import { startServer, sleep, until } from './server.mjs'

const server = await startServer(['--team.sandboxes_max=8'])
Object.assign(process.env, server.env)
after(() => server.stop())

for (const generation of ['e2b-old', 'e2b-new']) {
  const { ALL_TRAFFIC, Sandbox, SandboxError, NotFoundError, RateLimitError } = await import(generation)
  const name = (what) => `${generation}: ${what}`
  const all = async (options) => {
    const found = []
    for (const paginator = Sandbox.list(options); paginator.hasNext;) found.push(...(await paginator.nextItems()))
    return found
  }

  test(name('RX-23 lists page by page, each once, newest first, filtered'), async () => {
    const made = []
    for (let i = 0; i < 5; i++) made.push(await Sandbox.create('base', { metadata: { 'n &=%': `${i % 2} +/`, gen: generation } }))
    const ids = made.map((s) => s.sandboxId).reverse()
    assert.deepEqual((await all({ limit: 2 })).map((s) => s.sandboxId), ids)
    assert.deepEqual((await all()).map((s) => s.sandboxId), ids)
    const odd = await all({ limit: 1, query: { metadata: { 'n &=%': '1 +/', gen: generation }, state: ['running'] } })
    assert.deepEqual(odd.map((s) => s.sandboxId), [made[3].sandboxId, made[1].sandboxId])
    assert.deepEqual(await all({ query: { state: ['paused'] } }), [])
    for (const s of odd) assert.deepEqual(s.metadata, { 'n &=%': '1 +/', gen: generation })
    await Promise.all(made.map((s) => s.kill()))
    assert.deepEqual(await all(), [])
  })

  test(name('quota: the ninth is a RateLimitError, a kill makes room at once'), async () => {
    const made = await Promise.all(Array.from({ length: 8 }, () => Sandbox.create('base')))
    await assert.rejects(Sandbox.create('base'), (e) => e instanceof RateLimitError && /concurrent E2B sandboxes \(8\)/.test(e.message))
    assert.equal(await made[0].kill(), true)
    made[0] = await Sandbox.create('base')
    await Promise.all(made.map((s) => s.kill()))
  })

  test(name('RX-03 timeouts: endAt is absolute, may shorten, and is kept'), async () => {
    const s = await Sandbox.create('base', { timeoutMs: 60_000 })
    const first = await s.getInfo()
    assert.equal(first.endAt - first.startedAt, 60_000)
    await s.commands.run('true') // activity moves nothing
    assert.equal(+(await s.getInfo()).endAt, +first.endAt)
    await Sandbox.connect(s.sandboxId, { timeoutMs: 5_000 }) // extends only
    assert.equal(+(await s.getInfo()).endAt, +first.endAt)
    await assert.rejects(s.setTimeout(90_000_000), /Timeout cannot be greater than 24 hours/)
    await s.setTimeout(1_000)
    const { endAt } = await s.getInfo()
    await until('it ends', async () => !(await s.isRunning()), 3000)
    assert.ok(Date.now() - endAt < 1000)
    // Closed at once; 409 "is being killed" for as long as its processes need.
    await until('it is gone', async () => (await Sandbox.connect(s.sandboxId).catch((e) => e)) instanceof NotFoundError, 5000)
    await assert.rejects(s.getInfo(), (e) => e instanceof NotFoundError)
    await assert.rejects(s.setTimeout(5_000), (e) => e instanceof NotFoundError)
    assert.equal(await s.kill(), false)
  })

  test(name('RX-01 idle mode by metadata: commands keep it, a running one too, silence ends it'), async () => {
    const s = await Sandbox.create('base', { timeoutMs: 2_000, metadata: { 'sandlot.timeout_mode': 'idle' } })
    for (let i = 0; i < 8; i++) {
      await s.commands.run('true')
      await sleep(400)
    }
    assert.equal((await s.commands.run('sleep 4; echo done')).stdout, 'done\n')
    assert.ok((await s.getInfo()).endAt > Date.now())
    await sleep(3_500)
    assert.equal(await s.isRunning(), false)
  })

  test(name('updateNetwork: rules are replaced, shown, or refused'), async () => {
    const s = await Sandbox.create('base')
    await s.updateNetwork({ denyOut: ['10.0.0.0/8'] })
    assert.deepEqual((await s.getInfo()).network.denyOut, ['10.0.0.0/8'])
    await s.updateNetwork({ allowInternetAccess: false })
    const info = await s.getInfo()
    assert.deepEqual([info.allowInternetAccess, info.network.denyOut ?? []], [false, []])
    await s.updateNetwork({ allowOut: ['a.com', '1.1.1.1'], denyOut: [ALL_TRAFFIC] })
    assert.deepEqual((await s.getInfo()).network.allowOut, ['a.com', '1.1.1.1'])
    await assert.rejects(s.updateNetwork({ allowOut: ['a.com'] }), (e) => e instanceof SandboxError && /ALL_TRAFFIC/.test(e.message))
    await s.kill()
    await assert.rejects(s.updateNetwork({}), (e) => e instanceof NotFoundError)
  })

  test(name('Idempotency-Key: a repeated create is the same sandbox, other parameters are refused'), async () => {
    const headers = { 'Idempotency-Key': `job-${generation}` }
    const one = await Sandbox.create('base', { headers })
    await one.files.write('/tmp/mine', 'yes')
    const two = await Sandbox.create('base', { headers })
    assert.equal(two.sandboxId, one.sandboxId)
    assert.equal(await two.files.read('/tmp/mine'), 'yes')
    await assert.rejects(Sandbox.create('base', { headers, metadata: { a: 'b' } }), (e) => e instanceof SandboxError && /409/.test(e.message))
    await one.kill()
    await assert.rejects(Sandbox.create('base', { headers }), /has ended/)
    assert.deepEqual(await all(), [])
  })
}
