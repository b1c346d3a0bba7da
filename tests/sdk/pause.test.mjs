// Pause, resume, snapshots and fork through the official JavaScript SDK of both generations, on real sandboxes.
// What this machine cannot do it says with 501 and its reason; those cases are skipped with that.
import test, { after } from 'node:test'
import assert from 'node:assert/strict'
import { startServer, until } from './server.mjs'

const server = await startServer(['--sandbox.timeout_max=86400'])
Object.assign(process.env, server.env)
after(() => server.stop())

const api = (method, path, body) =>
  fetch(server.url + path, {
    method,
    headers: { 'X-API-Key': server.key, 'Content-Type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  })

// Why a kind of pause is not to be had here, or false.
async function missing(body) {
  const { sandboxID } = await (await api('POST', '/v2/sandboxes', { templateID: 'base' })).json()
  const answer = await api('POST', `/sandboxes/${sandboxID}/pause`, body)
  const text = answer.status === 204 ? '' : (await answer.json()).message
  await api('DELETE', `/sandboxes/${sandboxID}`)
  assert.ok([204, 501].includes(answer.status), `${answer.status} ${text}`)
  return answer.status === 501 && text
}

const noFiles = await missing({ memory: false })
const noMemory = await missing({})

for (const generation of ['e2b-old', 'e2b-new']) {
  const { Sandbox, NotFoundError } = await import(generation)
  const name = (what) => `${generation}: ${what}`
  const states = async (state) => {
    const found = []
    for (const p = Sandbox.list({ query: { state: [state] } }); p.hasNext;) found.push(...(await p.nextItems()))
    return found.map((s) => s.sandboxId)
  }

  test(name('files alone: what was written is there on the third resume, processes are not'), { skip: noFiles }, async () => {
    const s = await Sandbox.create('base', { metadata: { kept: 'yes' } })
    await s.commands.run('sleep 1000', { background: true })
    for (let i = 0; i < 3; i++) {
      await s.files.write(`/home/user/round${i}`, `written in ${i}`)
      assert.equal(await s.pause({ keepMemory: false }), true)
      assert.equal(await s.pause({ keepMemory: false }), false)
      assert.deepEqual(await states('paused'), [s.sandboxId])
      assert.equal((await Sandbox.getInfo(s.sandboxId)).state, 'paused')
      await s.connect()
      for (let j = 0; j <= i; j++) assert.equal(await s.files.read(`/home/user/round${j}`), `written in ${j}`)
      assert.deepEqual((await s.commands.list()).filter((p) => p.args?.includes('1000')), [])
    }
    assert.deepEqual((await s.getInfo()).metadata, { kept: 'yes' })
    assert.deepEqual(await states('running'), [s.sandboxId])
    assert.equal(await s.kill(), true)
  })

  test(name('a paused sandbox is killed as a running one'), { skip: noFiles }, async () => {
    const s = await Sandbox.create('base')
    await s.pause({ keepMemory: false })
    assert.equal(await s.kill(), true)
    assert.equal(await s.kill(), false)
    await assert.rejects(Sandbox.connect(s.sandboxId), (e) => e instanceof NotFoundError)
    assert.deepEqual(await states('paused'), [])
  })

  test(name('onTimeout pause, files alone'), { skip: noFiles }, async () => {
    const s = await Sandbox.create('base', { timeoutMs: 60_000, lifecycle: { onTimeout: { action: 'pause', keepMemory: false } } })
    await s.files.write('kept', 'yes')
    await s.setTimeout(0)
    await until('it is paused', async () => (await Sandbox.getInfo(s.sandboxId)).state === 'paused', 20_000)
    assert.equal((await Sandbox.getInfo(s.sandboxId)).lifecycle.onTimeout, 'pause')
    const again = await Sandbox.connect(s.sandboxId)
    assert.equal(await again.files.read('kept'), 'yes')
    await again.kill()
  })

  test(name('with memory: a counter goes on exactly, its pid is the same, hot and cold'), { skip: noMemory }, async () => {
    const s = await Sandbox.create('base')
    const count = await s.commands.run(
      'python3 -uc "\nimport time\nn = 0\nwhile True:\n    n += 1\n    open(\'/tmp/n\', \'w\').write(str(n))\n    time.sleep(0.01)"',
      { background: true })
    await until('it counts', async () => Number(await s.files.read('/tmp/n').catch(() => '0')) > 5, 10_000)
    for (let i = 0; i < 3; i++) {
      const before = Number(await s.files.read('/tmp/n'))
      assert.equal(await s.pause(), true)
      await s.connect()
      const now = Number((await s.files.read('/tmp/n')) || before)
      assert.ok(now >= before && now < before + 1000, `${before} -> ${now}`)
      await until('it counts on', async () => Number(await s.files.read('/tmp/n')) > now, 10_000)
      assert.ok((await s.commands.list()).some((p) => p.pid === count.pid))
    }
    await s.kill()
  })

  test(name('lifecycle autoResume: a plain request to a port resumes it'), { skip: noMemory }, async () => {
    const s = await Sandbox.create('base', { lifecycle: { onTimeout: 'pause', autoResume: true } })
    await s.commands.run('cd /tmp && echo inside > page && python3 -m http.server 8000', { background: true })
    const ask = () => fetch(`${server.url}/page`, { headers: { 'E2b-Sandbox-Id': s.sandboxId, 'E2b-Sandbox-Port': '8000' } })
    await until('it serves', async () => (await ask()).status === 200, 10_000)
    await s.setTimeout(0)
    await until('it is paused', async () => (await Sandbox.getInfo(s.sandboxId)).state === 'paused', 20_000)
    const answers = await Promise.all([ask(), ask(), ask()])
    for (const a of answers) assert.equal(await a.text(), 'inside\n')
    assert.equal((await s.getInfo()).state, 'running')
    await s.kill()
  })

  test(name('createSnapshot, create from it, list and delete'), { skip: noMemory }, async () => {
    const s = await Sandbox.create('base')
    await s.files.write('/home/user/when', 'before')
    const snapshot = await s.createSnapshot({ name: `kept-${generation}` })
    await s.files.write('/home/user/when', 'after')
    const copy = await Sandbox.create(snapshot.snapshotId)
    assert.notEqual(copy.sandboxId, s.sandboxId)
    assert.equal(await copy.files.read('/home/user/when'), 'before')
    assert.equal(await s.files.read('/home/user/when'), 'after')
    const listed = await s.listSnapshots().nextItems()
    assert.deepEqual(listed.map((i) => i.snapshotId), [snapshot.snapshotId])
    assert.equal(await Sandbox.deleteSnapshot(snapshot.snapshotId), true)
    assert.equal(await Sandbox.deleteSnapshot(snapshot.snapshotId), false)
    assert.equal(await copy.files.read('/home/user/when'), 'before')
    await Promise.all([s.kill(), copy.kill()])
  })

  test(name('fork: copies that share nothing, with the processes of their source'), { skip: noMemory }, async () => {
    const s = await Sandbox.create('base')
    await s.commands.run('sleep 4242', { background: true })
    const copies = await s.fork({ count: 3 })
    const texts = (what) => Promise.all(copies.map(async (c) => (await c.commands.run(what)).stdout.trim()))
    assert.equal(new Set([s, ...copies].map((c) => c.sandboxId)).size, 4)
    for (const n of await texts('pgrep -fc "sleep 424[2]"')) assert.equal(n, '1')
    for (const what of ['hostname', 'head -c 16 /dev/urandom | base64'])
      assert.equal(new Set(await texts(what)).size, 3, what)
    await copies[0].files.write('/home/user/mine', 'x')
    assert.equal(await copies[1].files.exists('/home/user/mine'), false)
    await Promise.all([s, ...copies].map((c) => c.kill()))
  })

  test(name('what cannot be kept here is a clear error, and the sandbox goes on'), { skip: !noMemory && 'all of it can' }, async () => {
    const s = await Sandbox.create('base')
    await assert.rejects(s.pause(), /501: .+/)
    await assert.rejects(s.createSnapshot(), /501: .+/)
    await assert.rejects(Sandbox.create('base', { lifecycle: { onTimeout: 'pause' } }), /501: autoPause/)
    assert.equal((await s.commands.run('echo on')).stdout, 'on\n')
    await s.kill()
  })
}
