// `sandlot worker` against an API that hangs, refuses, answers garbage or in pages, through the official
// iii SDKs of both eras: one test per requirement of requirements.md A.4 that needs no real sandbox.
import test, { after } from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { Engine } from './engine.mjs'
import { Upstream } from './upstream.mjs'
import { KEY, P, caller, eras, startWorker } from './worker_kit.mjs'
import { root, sleep, until } from './server.mjs'

const engine = await new Engine({ newer: true }).start()
const callers = eras.map((era) => caller(era, engine))
const [old, c] = callers
const all = [] // what every worker printed
after(async () => {
  for (const one of callers) await one.close()
  await engine.kill()
})

// One worker on an API of its own, for one test.
function scripted(name, config, fn) {
  test(name, async () => {
    const api = await new Upstream().start()
    const worker = await startWorker(engine, { api_base: api.url, ...config })
    try {
      await fn(api, worker)
    } finally {
      const how = await worker.stop()
      await api.stop()
      all.push(worker.output)
      assert.equal(how, 0, worker.output)
      await until('it took its functions back', () => ![...engine.functions.keys()].some((id) => id.startsWith('sandbox::')))
    }
  })
}

const image = { image: 'base' }
const makes = (r) => r.method === 'POST' && /sandboxes$/.test(r.path)
const answers = (status, body = { code: status, message: 'the words of the API' }, headers = {}) => () => ({ status, body, headers })
const code = async (leaf, payload) => {
  const both = await Promise.all(callers.map((one) => one.refused(P(leaf), payload)))
  assert.equal(both[0].message, both[1].message)
  assert.equal(both[0].code, 'invocation_failed')
  const found = both[0].message.match(/^\[(S\d{3})\] ./)
  assert.ok(found, both[0].message)
  return found[1]
}

scripted('IW-10 the allowlist is exact and comes before any HTTP', { image_allowlist: ['base', 'py'] }, async (api) => {
  for (const name of ['bas', 'base2', 'BASE', 'b'])
    assert.equal(await code('create', { image: name }), 'S100')
  assert.equal(api.asked.length, 0)
  await c.call(P('create'), { image: 'py' })
})

scripted('IW-10 an empty allowlist is for all', { image_allowlist: [] }, async () => {
  assert.equal((await c.call(P('create'), { image: 'whatever' })).image, 'whatever')
})

scripted('IW-02 image is the alias where the upstream gave one', {}, async (api) => {
  api.script = (r) => makes(r) && { status: 201, body: { ...api.make({ templateID: 'tpl9' }), alias: 'nice-name' } }
  assert.equal((await c.call(P('create'), { image: 'tpl9' })).image, 'nice-name')
})

scripted('IW-07 create sends timeout and autoPause:false', {}, async (api) => {
  await c.call(P('create'), image)
  await old.call(P('create'), { ...image, idle_timeout_secs: 17 })
  const bodies = api.asked.map((r) => JSON.parse(r.body))
  assert.deepEqual(bodies.map((b) => [b.templateID, b.timeout, b.autoPause]), [['base', 300, false], ['base', 17, false]])
})

scripted('IW-08 IW-25 stop: 404 and 409 are success, and free the slot', {}, async (api) => {
  for (const status of [404, 409]) {
    const box = await c.call(P('create'), image)
    api.script = (r) => r.method === 'DELETE' && answers(status)()
    assert.deepEqual(await c.call(P('stop'), { sandbox_id: box.sandbox_id }), {})
    api.script = answers(500)
    assert.equal((await c.call(P('list'))).in_flight, 0)
    api.script = () => undefined
  }
})

scripted('IW-12 a stop that the upstream cannot do is S502, and the slot stays', {}, async (api) => {
  const box = await c.call(P('create'), image)
  api.script = answers(502)
  assert.equal(await code('stop', { sandbox_id: box.sandbox_id }), 'S502')
  assert.equal((await c.call(P('list'))).in_flight, 1)
})

scripted('IW-09 list: four here, one there, reconciled; without the upstream an empty list', {}, async (api) => {
  const boxes = []
  for (let i = 0; i < 4; i++) boxes.push(await c.call(P('create'), image))
  for (const b of boxes.slice(1)) api.boxes.delete(b.sandbox_id)
  assert.deepEqual([(await c.call(P('list'))).in_flight, (await c.call(P('list'))).reconciled], [1, true])
  for (const script of [answers(500), answers(200, 'no JSON'), answers(200, { not: 'a list' }), answers(200, [{ sandboxID: '../etc' }])]) {
    api.script = script
    const l = await old.call(P('list'))
    assert.deepEqual([l.in_flight, l.reconciled, l.sandboxes], [1, false, []])
  }
})

scripted('IW-11 the cap is refused at once, and every failure gives its slot back', { max_concurrent_sandboxes: 2 }, async (api) => {
  for (const script of [answers(500), answers(401), answers(404), answers(429), answers(201, 'garbage'), answers(201, { sandboxID: 'a/b' })]) {
    api.script = (r) => makes(r) && script(r)
    await c.refused(P('create'), image)
    api.script = () => undefined
    assert.equal((await c.call(P('list'))).in_flight, 0)
  }
  await c.call(P('create'), image)
  await c.call(P('create'), image)
  const asked = api.count('POST', /./)
  assert.equal(await code('create', image), 'S400')
  assert.equal(api.count('POST', /./), asked)
})

scripted('IW-12 S-codes of what an upstream answers', { request_timeout_ms: 1000 }, async (api) => {
  const cases = [[401, 'S503'], [403, 'S503'], [402, 'S501'], [404, 'S100'], [429, 'S500'], [500, 'S502'], [502, 'S502'], [503, 'S502'], [400, 'S001'], [422, 'S001']]
  for (const [status, expected] of cases) {
    api.script = (r) => makes(r) && answers(status)()
    assert.equal(await code('create', image), expected, `${status}`)
  }
  api.script = (r) => makes(r) && answers(201, '<html>')()
  assert.equal(await code('create', image), 'S502')
})

scripted('IW-12 RX-16 error_format json: the same as an object', { error_format: 'json' }, async (api) => {
  api.script = (r) => makes(r) && answers(429)()
  const { message } = await c.refused(P('create'), image)
  const e = JSON.parse(message)
  assert.deepEqual([e.code, e.type, e.retryable, 'docs_url' in e], ['S500', 'transient', true, true])
})

scripted('IW-17 an upstream that hangs: S502 in time, and nothing else waits for it', { request_timeout_ms: 700 }, async (api) => {
  api.script = (r) => (makes(r) ? 'hang' : undefined)
  const began = Date.now()
  const hanging = c.refused(P('create'), image)
  await sleep(100)
  assert.equal((await c.call(P('list'))).in_flight, 1) // the one under way
  assert.ok(Date.now() - began < 600)
  assert.match((await hanging).message, /^\[S502\] /)
  assert.ok(Date.now() - began < 3000)
  assert.equal((await c.call(P('list'))).in_flight, 0)
})

scripted('IW-17 a body that never ends, and one without bounds', { request_timeout_ms: 1000 }, async (api) => {
  const box = await c.call(P('create'), image)
  api.http.prependListener('request', (req, res) => {
    if (!req.url.startsWith('/files')) return
    res.writeHead(200)
    const timer = setInterval(() => res.write(Buffer.alloc(req.url.includes('big') ? 4 << 20 : 1)), 10)
    res.on('close', () => clearInterval(timer))
  })
  api.script = (r) => r.path.startsWith('/files') ? 'hang' : undefined
  assert.equal(await code('fs::read', { sandbox_id: box.sandbox_id, path: 'slow' }), 'S502')
  assert.ok(['S400', 'S502'].includes((await c.refused(P('fs::read'), { sandbox_id: box.sandbox_id, path: 'big' })).message.slice(1, 5)))
})

scripted('IW-17 nobody listens there', {}, async (api) => {
  await api.stop()
  assert.equal(await code('create', image), 'S502')
  await api.start()
})

scripted('IW-18 an upstream that quotes the key: it is in no error', {}, async (api) => {
  api.script = (r) => makes(r) && answers(401, { code: 401, message: `bad key ${r.headers['x-api-key']}!` })()
  const { message } = await c.refused(P('create'), image)
  assert.match(message, /^\[S503\] bad key \[key\]!/)
})

const box = { sandbox_id: 'i1' }
scripted('IW-19 args: not an array, or with others than strings', {}, async (api) => {
  for (const args of ['-l', [1], ['a', null], { 0: 'a' }, [['a']]])
    assert.equal(await code('exec', { ...box, cmd: 'ls', args }), 'S001')
  assert.equal(api.asked.length, 0)
})

scripted('IW-20 ports are 1 to 65535', {}, async (api) => {
  for (const port of [0, -1, 65536, '80', 1.5, null])
    assert.equal(await code('expose_port', { ...box, port }), 'S001', `${port}`)
  assert.equal(api.asked.length, 0)
})

scripted('IW-21 a mode that is none', {}, async (api) => {
  for (const mode of ['rw', '0999', '', '77777', true, -1, 4096, {}])
    assert.equal(await code('fs::write', { ...box, path: 'x', bytes_base64: '', mode }), 'S001', `${mode}`)
  assert.equal(api.asked.length, 0)
})

scripted('IW-22 bad input is S001 and names the field', {}, async (api) => {
  const cases = [
    ['exec', { ...box }, 'missing string field \'cmd\''], ['exec', { cmd: 'x' }, 'missing string field \'sandbox_id\''],
    ['create', {}, 'missing string field \'image\''], ['create', { image: 7 }, 'field \'image\' must be a string'],
    ['create', { ...image, idle_timeout_secs: 0 }, 'field \'idle_timeout_secs\' must be an integer from 1 to 86400'],
    ['exec', { ...box, cmd: 'x', env: { A: 1 } }, 'field \'env\''], ['exec', { ...box, cmd: 'x', timeout_ms: 'soon' }, 'field \'timeout_ms\''],
    ['fs::write', { ...box, path: 'x', bytes_base64: '***' }, 'field \'bytes_base64\' must be bytes in base64'],
    ['stop', { sandbox_id: '../templates' }, 'field \'sandbox_id\''], ['exec', [], 'the payload must be an object'], ['exec', 'text', 'the payload must be an object'],
  ]
  for (const [leaf, payload, text] of cases) {
    for (const one of callers) assert.ok((await one.refused(P(leaf), payload)).message.startsWith(`[S001] ${text}`), `${leaf} ${JSON.stringify(payload)}`)
  }
  assert.equal(api.asked.length, 0)
})

scripted('IW-27 a second stop, and one of an unknown id, free nobody\'s slot', {}, async (api) => {
  const boxes = [await c.call(P('create'), image), await c.call(P('create'), image), await c.call(P('create'), image)]
  for (let i = 0; i < 3; i++) assert.deepEqual(await c.call(P('stop'), { sandbox_id: boxes[0].sandbox_id }), {})
  assert.deepEqual(await c.call(P('stop'), { sandbox_id: 'iunknown' }), {})
  api.script = (r) => r.method === 'GET' && answers(500)()
  assert.equal((await c.call(P('list'))).in_flight, 2)
})

scripted('IW-28 others\' sandboxes are not counted, creates under way are', {}, async (api) => {
  for (let i = 0; i < 5; i++) api.make({ templateID: 'theirs' })
  await c.call(P('create'), image)
  let let_go
  api.script = (r) => makes(r) && new Promise((resolve) => (let_go = () => resolve(undefined)))
  const slow = c.call(P('create'), image)
  await until('it is asked', () => let_go)
  const l = await c.call(P('list'))
  assert.deepEqual([l.sandboxes.length, l.in_flight, l.remaining], [6, 2, 8])
  let_go()
  await slow
  assert.equal((await c.call(P('list'))).in_flight, 2)
})

scripted('IW-28 a list that was begun before a create ended does not end the sandbox', {}, async (api) => {
  let let_go
  api.script = (r) => r.path.startsWith('/v2/sandboxes') && r.method === 'GET' && new Promise((resolve) => (let_go = () => resolve({ status: 200, body: [] })))
  const slow = c.call(P('list'))
  await until('it is asked', () => let_go)
  await c.call(P('create'), image)
  let_go()
  assert.equal((await slow).in_flight, 1)
})

scripted('IW-30 pages of /v2/sandboxes; /sandboxes where that is not', {}, async (api) => {
  const page = (n) => Array.from({ length: 3 }, (_, i) => ({ sandboxID: `ipage${n}x${i}`, templateID: 't', startedAt: '2026-01-01T00:00:00Z' }))
  api.script = (r) => {
    const token = new URL(r.path, 'http://x').searchParams.get('nextToken')
    const n = token ? Number(token.split('=')[1]) : 0
    return { status: 200, body: page(n), headers: n < 3 ? { 'X-Next-Token': `a+/&=${n + 1}`.replace('a+/&', 'a+/') } : {} }
  }
  assert.equal((await c.call(P('list'))).sandboxes.length, 12)
  api.script = (r) => (r.path.startsWith('/v2/') ? answers(404)() : r.path.startsWith('/sandboxes') && r.method === 'GET' ? { status: 200, body: page(0) } : undefined)
  assert.equal((await c.call(P('list'))).sandboxes.length, 3)
  assert.equal((await c.call(P('create'), image)).image, 'base')
  assert.equal(api.asked.filter(makes).at(-1).path, '/sandboxes')
  api.script = (r) => ({ status: 200, body: page(0), headers: { 'X-Next-Token': '=1' } }) // for ever
  assert.equal((await c.call(P('list'))).reconciled, false)
})

scripted('IW-32 a 4xx of exec and of files is not S502', {}, async (api) => {
  const made = await c.call(P('create'), image)
  api.script = (r) => (r.method === 'POST' ? answers(502, { sandboxId: made.sandbox_id, message: 'The sandbox was not found', code: 502 })() : answers(404)())
  assert.equal(await code('exec', { sandbox_id: made.sandbox_id, cmd: 'x' }), 'S002')
  assert.equal(await code('fs::read', { sandbox_id: 'iother', path: 'x' }), 'S002')
  api.script = answers(429)
  assert.equal(await code('fs::read', { sandbox_id: 'iother', path: 'x' }), 'S500')
})

scripted('RX-24 an API without snapshots pauses instead', {}, async (api) => {
  const made = await c.call(P('create'), image)
  api.script = (r) => (r.path.endsWith('/snapshots') ? answers(405)() : r.path.endsWith('/pause') ? { status: 204 } : undefined)
  assert.deepEqual(await c.call(P('snapshot'), { sandbox_id: made.sandbox_id }), { snapshot_id: made.sandbox_id })
})

scripted('IW-01 RX-18 legacy_ids adds the older ids', { legacy_ids: true }, async () => {
  assert.equal(engine.functions.size, 16)
  assert.equal((await old.call('sandbox::e2b::create', image)).image, 'base')
})

scripted('IW-11 an interrupted create: what it made is found by its mark and killed', { request_timeout_ms: 500 }, async (api) => {
  api.script = (r) => {
    if (!makes(r)) return undefined
    api.make(JSON.parse(r.body)) // made, and the answer is lost
    return 'hang'
  }
  api.make({ templateID: 'theirs' })
  assert.equal(await code('create', image), 'S502')
  assert.equal(api.boxes.size, 3)
  await until('both are gone, and no others', () => api.boxes.size === 1, 10000)
})

for (const [what, stopping] of [['one engine', false], ['an engine that kills and starts again', true]]) {
  test(`the engine is killed during 100 concurrent calls and comes back: ${what}`, async () => {
    const api = await new Upstream().start()
    const engine = await new Engine({ newer: stopping }).start()
    const worker = await startWorker(engine, { api_base: api.url, max_concurrent_sandboxes: 200 })
    const before = caller(eras[1], engine)
    let held = []
    api.script = (r) => makes(r) && new Promise((resolve) => held.push(() => resolve(undefined)))
    const calls = Array.from({ length: 100 }, () => before.call(P('create'), image).catch(() => 'failed'))
    await until('all are asked', () => held.length === 100, 20000)
    const { port } = engine
    await engine.kill()
    await before.close()
    await sleep(50)
    for (const go of held) go() // the upstream made them, for callers that are gone
    await engine.start(port)
    const began = Date.now()
    await until('all functions are back', () => engine.functions.size === 8, 2000)
    console.log(`# functions are back after ${Date.now() - began} ms`)
    assert.deepEqual(new Set(await Promise.all(calls)), new Set(['failed']))
    await until('what they made is reaped', () => api.next === 100 && api.boxes.size === 0, 20000)
    api.script = () => undefined
    const again = caller(eras[0], engine)
    assert.deepEqual((await again.call(P('list'))).in_flight, 0)
    assert.equal((await again.call(P('create'), image)).image, 'base')
    if (stopping) assert.ok(engine.events.some((e) => e.type === 'reattach' && e.message.previous_worker_id && e.message.reattach_token))
    await again.close()
    assert.equal(await worker.stop(), 0)
    all.push(worker.output)
    await engine.kill()
    await api.stop()
  })
}

test('IW-14 SIGTERM: no new calls, running ones end, exit 0; SIGINT the same', async () => {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    const api = await new Upstream().start()
    const worker = await startWorker(engine, { api_base: api.url })
    let let_go
    api.script = (r) => makes(r) && new Promise((resolve) => (let_go = () => resolve(undefined)))
    const running = c.call(P('create'), image)
    await until('it is asked', () => let_go)
    worker.child.kill(signal)
    await until('its functions are taken back', () => engine.functions.size === 0)
    assert.equal((await c.refused(P('list'), {})).code, 'function_not_found')
    assert.equal(worker.child.exitCode, null)
    let_go()
    assert.equal((await running).image, 'base')
    assert.equal(await worker.ended, 0)
    await worker.stop()
    await api.stop()
  }
})

test('IW-13 the configuration, at the top or under config:, with its defaults; IW-14 the User-Agent', async () => {
  const api = await new Upstream().start()
  for (const text of [`api_base: ${api.url}\nimage_allowlist: [base]\n`, `# a comment\nconfig:\n  api_base: "${api.url}"   # and another\n  image_allowlist:\n    - base\n    - 'py'\n`]) {
    const worker = await startWorker(engine, text)
    assert.equal(await code('create', { image: 'other' }), 'S100')
    await c.call(P('create'), image)
    assert.equal((await c.call(P('list'))).cap, 10)
    assert.equal(api.asked.at(-1).headers['user-agent'], 'iii-sandbox-e2b/0.1')
    assert.equal(await worker.stop(), 0)
  }
  await api.stop()
})

test('IW-13 api_key_env names the variable; IW-14 without it the worker does not start', async () => {
  const api = await new Upstream().start()
  const worker = await startWorker(engine, { api_base: api.url, api_key_env: 'OTHER_KEY' }, { env: { OTHER_KEY: 'e2b_other' } })
  await c.call(P('create'), image)
  assert.equal(api.asked[0].headers['x-api-key'], 'e2b_other')
  await worker.stop()
  const none = await startWorker(engine, { api_base: api.url, api_key_env: 'NOT_SET_ANYWHERE' }, { waits: false })
  assert.equal(await none.ended, 2)
  assert.match(none.output, /set the variable NOT_SET_ANYWHERE/)
  await none.stop()
  await api.stop()
})

test('IW-29 a configuration that is not understood ends the start', async () => {
  const wrong = [
    'image_allowlist: base\n', 'image_allowlist:\n', 'image_allowlist: [base\n', 'image_alowlist: [base]\n', 'image_allowlist: *x\n',
    '\timage_allowlist: [base]\n', 'image_allowlist: [base]\nimage_allowlist: []\n', 'max_concurrent_sandboxes: many\n', 'max_concurrent_sandboxes: 0\n',
    'api_base: ftp://x\n', 'config:\n  config:\n    a: 1\n', 'image_allowlist: [[base]]\n', '  a\n', 'image_allowlist: ["base]\n', 'image_allowlist: ~\n', 'api_base: http://a:99999\n',
    'mode: other\n', '{"image_allowlist": ["base"]}\n', 'image_allowlist:\n  base: true\n', 'default_idle_timeout_secs: 10\n   image_allowlist: [a]\n',
  ]
  for (const text of wrong) {
    const worker = await startWorker(engine, text, { waits: false })
    assert.equal(await worker.ended, 2, text)
    assert.match(worker.output, /sandlot: .*(line \d+|key|api_base|not a|no configuration)/, text)
    await worker.stop()
  }
  const gone = await startWorker(engine, '', { flags: ['--config=/no/such/file.yaml'], waits: false })
  assert.equal(await gone.ended, 2)
  assert.match(gone.output, /--defaults/)
  await gone.stop()
})

test('IW-15 iii.worker.yaml', () => {
  const text = readFileSync(path.join(root, 'packaging/iii/sandbox-e2b/iii.worker.yaml'), 'utf8')
  for (const line of ['iii: v1', 'name: sandbox-e2b', 'language: rust', 'deploy: binary', 'bin: iii-sandbox-e2b']) assert.ok(text.includes(`${line}\n`), line)
  assert.match(text, /^description: .+$/m)
  assert.match(text, /^config:$/m)
})

test('IW-16 the family\'s decisions, and IW-24 what is wired, are written down', () => {
  const text = readFileSync(path.join(root, 'docs/worker.md'), 'utf8')
  for (const n of Array.from({ length: 10 }, (_, i) => i + 1)) assert.match(text, new RegExp(`^${n}\\. `, 'm'))
  assert.match(readFileSync(path.join(root, 'README.md'), 'utf8'), /sandlot worker/)
})

test('the engine does not want this worker: it says so and ends', async () => {
  const api = await new Upstream().start()
  const first = await startWorker(engine, { api_base: api.url })
  const second = await startWorker(engine, { api_base: api.url }, { waits: false })
  assert.equal(await second.ended, 1)
  assert.match(second.output, /worker\.refused/)
  assert.equal(first.child.exitCode, null)
  await second.stop()
  await first.stop()
  await api.stop()
})

test('IW-33 IW-34 the router: which provider, S600, S404, errors untouched, as much time as the call may take', async () => {
  const api = await new Upstream().start()
  const engine = await new Engine({ newer: true }).start()
  const [provider, router, one, adapter] = [
    await startWorker(engine, { api_base: api.url, image_allowlist: ['base'] }),
    await startWorker(engine, { mode: 'router', default_provider: 'mine', request_timeout_ms: 300, default_exec_timeout_ms: 500 }, { key: '' }),
    caller(eras[0], engine), caller(eras[1], engine),
  ]
  const got = []
  const answer = {
    list: async (p) => (got.push(p), { mine: true }),
    create: async () => { throw new Error('[S100] no such image') },
    'fs::read': async () => { throw new Error('file not found') },
    exec: (p) => sleep(p.takes).then(() => ({ stdout: 'late' })),
  }
  for (const [leaf, fn] of Object.entries(answer)) adapter.sdk.registerFunction(`sandbox::provider::mine::${leaf}`, fn)
  await until('all are there', () => engine.functions.has('sandbox::provider::mine::exec') && engine.functions.has('sandbox::fs::sed'))

  assert.deepEqual(await one.call('sandbox::list', { provider: '', other: [1] }), { mine: true })
  assert.deepEqual(await one.call('sandbox::list'), { mine: true })
  assert.equal(got[0].provider, undefined)
  assert.deepEqual(got[0].other, [1])
  const box = await one.call('sandbox::create', { provider: 'e2b', image: 'base' })
  assert.equal(box.sandbox_id, 'ibox0001')
  assert.deepEqual(await one.call('sandbox::stop', { provider: 'e2b', sandbox_id: box.sandbox_id }), {})
  const refused = async (leaf, payload) => (await one.refused(`sandbox::${leaf}`, payload)).message
  assert.match(await refused('create', { provider: 'e2b', image: 'other' }), /^\[S100\] image 'other' is not in/)
  assert.match(await refused('create', { image: 'x' }), /\[S100\] no such image$/)
  assert.match(await refused('fs::read', { path: 'x' }), /file not found$/)
  assert.match(await refused('list', { provider: 'other' }), /^\[S600\] .*iii worker add sandbox-other/)
  assert.match(await refused('branch', { provider: 'e2b' }), /^\[S404\] provider 'e2b' has no branch/)
  assert.match(await refused('list', { provider: '../x' }), /^\[S001\] /)
  assert.match(await refused('list', { provider: 7 }), /^\[S001\] /)
  assert.deepEqual(await one.call('sandbox::exec', { timeout_ms: 3000, takes: 1500 }), { stdout: 'late' })
  assert.match(await refused('exec', { takes: 1500 }), /^\[S502\] .*within 800 ms/)
  for (const w of [provider, router]) assert.equal(await w.stop(), 0)
  for (const x of [one, adapter]) await x.close()
  await engine.kill()
  await api.stop()
})

test('idle memory', async () => {
  const api = await new Upstream().start()
  const worker = await startWorker(engine, { api_base: api.url }, { level: 'info' })
  await sleep(300)
  const rss = worker.rssKiB()
  await worker.stop() // whatever comes of it, or nothing ends
  await api.stop()
  console.log(`# idle: ${rss} KiB`)
  if (!/asan|coverage/.test(process.env.SANDLOT_BIN)) assert.ok(rss <= 6 * 1024, `${rss} KiB`)
})

test('IW-18 no key is in anything that any worker printed', () => {
  assert.ok(all.length > 20)
  for (const output of all) assert.ok(!output.includes(KEY))
})
