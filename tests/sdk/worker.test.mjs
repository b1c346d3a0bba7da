// `sandlot worker` with the official iii SDKs of both eras as callers, an engine stand-in between, and a
// real Sandlot with real sandboxes behind. Requirements are named as in requirements.md A.4.
import test, { after } from 'node:test'
import assert from 'node:assert/strict'
import http from 'node:http'
import { leavesNothing, serve } from './guest.mjs'
import { Engine } from './engine.mjs'
import { P, caller, eras, startWorker } from './worker_kit.mjs'
import { sleep, until } from './server.mjs'

const domain = 'sandlot.localhost'
const server = await serve([`--domain=${domain}`])
const engines = { 'iii-old': await new Engine().start(), 'iii-new': await new Engine({ newer: true }).start() }
const config = { api_base: server.url, max_concurrent_sandboxes: 20 }
const workers = {}
after(async () => {
  for (const w of Object.values(workers)) await w.stop()
  for (const e of Object.values(engines)) await e.kill()
})

const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/
const b64 = (text) => Buffer.from(text).toString('base64')

function get(host, path = '/') {
  return new Promise((resolve, reject) => {
    http.get({ host: '127.0.0.1', port: server.port, path, headers: { Host: host } }, (res) => {
      let body = ''
      res.on('data', (d) => (body += d)).on('end', () => resolve({ status: res.statusCode, body }))
    }).on('error', reject)
  })
}

for (const era of eras) {
  const engine = engines[era.name]
  const name = (what) => `${era.name}: ${what}`
  let c, box

  test(name('IW-01 IW-31 eight functions are registered, each with both schemas, and no others'), async () => {
    workers[era.name] = await startWorker(engine, config, { key: server.key })
    c = caller(era, engine)
    await until('all eight', () => engine.functions.size >= 8)
    const ids = [...engine.functions.keys()].filter((id) => id.startsWith('sandbox::')).sort()
    assert.deepEqual(ids, ['create', 'exec', 'expose_port', 'fs::read', 'fs::write', 'list', 'snapshot', 'stop'].map(P).sort())
    for (const id of ids) {
      const { request_format, response_format, description } = engine.functions.get(id).message
      assert.equal(request_format.type, 'object')
      assert.equal(response_format.type, 'object')
      assert.ok(description.length > 5)
    }
    assert.deepEqual(engine.functions.get(P('exec')).message.request_format.required, ['sandbox_id', 'cmd'])
  })

  test(name('IW-02 IW-06 IW-23 create answers id, image, start and capabilities'), async () => {
    box = await c.call(P('create'), { image: 'base', idle_timeout_secs: 120 })
    assert.deepEqual(Object.keys(box), ['sandbox_id', 'image', 'started_at', 'capabilities'])
    assert.equal(box.image, 'base')
    assert.match(box.started_at, rfc3339)
    assert.deepEqual(box.capabilities, ['snapshot', 'expose_port', 'fs'])
  })

  test(name('IW-07 the idle timeout is the upstream\'s, and its end kills'), async () => {
    const info = await (await fetch(`${server.url}/sandboxes/${box.sandbox_id}`, { headers: { 'X-API-Key': server.key } })).json()
    const life = (Date.parse(info.endAt) - Date.parse(info.startedAt)) / 1000
    assert.ok(life > 118 && life < 125, `${life}`)
    assert.equal(info.lifecycle.onTimeout, 'kill')
  })

  test(name('IW-03 IW-26 exec runs a program: arguments, environment, directory, exit code'), async () => {
    const r = await c.call(P('exec'), { sandbox_id: box.sandbox_id, cmd: 'sh', args: ['-c', 'echo "$GREETING $1 $(pwd)"; echo oops >&2; exit 7', 'x', 'two words'], env: { GREETING: 'swordfish' }, cwd: '/tmp' })
    assert.deepEqual(r, { stdout: 'swordfish two words /tmp\n', stderr: 'oops\n', exit_code: 7, timed_out: false })
    const list = await c.call(P('exec'), { sandbox_id: box.sandbox_id, cmd: 'printenv', args: ['A'], env: ['A=b=c'], workdir: '/' })
    assert.equal(list.stdout, 'b=c\n')
    const bytes = await c.call(P('exec'), { sandbox_id: box.sandbox_id, cmd: 'printf', args: ['a\\377b'] })
    assert.deepEqual([bytes.stdout, bytes.output_was_not_utf8], ['a\ufffdb', true])
    assert.equal((await c.call(P('exec'), { sandbox_id: box.sandbox_id, cmd: '/no/such/program' })).exit_code, 127)
    const big = await c.call(P('exec'), { sandbox_id: box.sandbox_id, cmd: 'sh', args: ['-c', 'head -c 6000000 /dev/zero | tr "\\0" x'] })
    assert.deepEqual([big.stdout.length, big.output_was_cut], [4 << 20, true])
  })

  test(name('IW-03 an exec that takes too long is killed, and that is said'), async () => {
    const began = Date.now()
    const r = await c.call(P('exec'), { sandbox_id: box.sandbox_id, cmd: 'sh', args: ['-c', 'echo early; exec sleep 600'], timeout_ms: 700 })
    assert.equal(r.timed_out, true)
    assert.equal(r.stdout, 'early\n')
    assert.ok(Date.now() - began < 5000)
    const ps = await c.call(P('exec'), { sandbox_id: box.sandbox_id, cmd: 'sh', args: ['-c', 'cat /proc/[0-9]*/comm'] })
    assert.ok(!ps.stdout.includes('sleep'), ps.stdout)
  })

  test(name('a slow exec delays neither list nor another exec'), async () => {
    const slow = c.call(P('exec'), { sandbox_id: box.sandbox_id, cmd: 'sleep', args: ['3'] })
    await sleep(200)
    const began = Date.now()
    await c.call(P('list'))
    await c.call(P('exec'), { sandbox_id: box.sandbox_id, cmd: 'true' })
    assert.ok(Date.now() - began < 2000, `${Date.now() - began} ms`)
    assert.equal((await slow).exit_code, 0)
  })

  test(name('IW-05 IW-26 fs::write and fs::read, with a mode, in other hands, with odd names, 10 MB'), async () => {
    const { sandbox_id } = box
    assert.deepEqual(await c.call(P('fs::write'), { sandbox_id, path: 'a b/ü.txt', bytes_base64: b64('hello'), mode: '0600' }), {})
    assert.deepEqual(await c.call(P('fs::read'), { sandbox_id, path: 'a b/ü.txt' }), { bytes_base64: b64('hello') })
    const mode = await c.call(P('exec'), { sandbox_id, cmd: 'stat', args: ['-c', '%a', 'a b/ü.txt'] })
    assert.equal(mode.stdout, '600\n')
    const big = Buffer.alloc(10_000_000, 'sandlot!')
    await c.call(P('fs::write'), { sandbox_id, path: '/tmp/big', bytes_base64: big.toString('base64') })
    const back = await c.call(P('fs::read'), { sandbox_id, path: '/tmp/big' })
    assert.ok(Buffer.from(back.bytes_base64, 'base64').equals(big))
    assert.match((await c.refused(P('fs::read'), { sandbox_id, path: '/no/such' })).message, /^\[S211\] /)
    assert.match((await c.refused(P('fs::read'), { sandbox_id, path: '/tmp' })).message, /^\[S21[02]\] /)
  })

  test(name('IW-05 IW-26 expose_port names a URL that leads there'), async () => {
    const { sandbox_id } = box
    await c.call(P('fs::write'), { sandbox_id, path: '/tmp/www/index.html', bytes_base64: b64('a page') })
    const serving = c.call(P('exec'), { sandbox_id, cmd: 'python3', args: ['-m', 'http.server', '8000'], cwd: '/tmp/www', timeout_ms: 8000 })
    const { url } = await c.call(P('expose_port'), { sandbox_id, port: 8000 })
    assert.equal(url, `http://8000-${sandbox_id}.${domain}:${server.port}`)
    await until('it is served', async () => (await get(new URL(url).host)).body === 'a page')
    serving.catch(() => {})
  })

  const tokens = []
  test(name('IW-04 IW-09 list: what there is and how many more may be'), async () => {
    const l = await c.call(P('list'))
    assert.deepEqual(Object.keys(l), ['sandboxes', 'in_flight', 'cap', 'remaining', 'reconciled'])
    assert.deepEqual([l.in_flight, l.cap, l.remaining, l.reconciled], [1, 20, 19, true])
    const one = l.sandboxes.find((s) => s.sandbox_id === box.sandbox_id)
    assert.deepEqual(Object.keys(one), ['sandbox_id', 'image', 'started_at'])
    assert.match(one.started_at, rfc3339)
    const detail = await fetch(`${server.url}/sandboxes/${box.sandbox_id}`, { headers: { 'X-API-Key': server.key } }).then((r) => r.json())
    assert.ok(detail.envdAccessToken.length > 20)
    tokens.push(detail.envdAccessToken)
  })

  test(name('IW-05 IW-26 RX-24 snapshot keeps it running, and create takes it as an image'), async () => {
    const { snapshot_id } = await c.call(P('snapshot'), { sandbox_id: box.sandbox_id })
    assert.equal((await c.call(P('exec'), { sandbox_id: box.sandbox_id, cmd: 'true' })).exit_code, 0)
    const copy = await c.call(P('create'), { image: snapshot_id })
    const r = await c.call(P('exec'), { sandbox_id: copy.sandbox_id, cmd: 'cat', args: ['a b/ü.txt'] })
    assert.equal(r.stdout, 'hello')
    assert.deepEqual(await c.call(P('stop'), { sandbox_id: copy.sandbox_id }), {})
  })

  test(name('IW-32 what is gone is S002, not S502; stop of it is {}'), async () => {
    assert.deepEqual(await c.call(P('stop'), { sandbox_id: box.sandbox_id }), {})
    for (const [leaf, more] of [['exec', { cmd: 'true' }], ['fs::read', { path: '/etc/hostname' }], ['fs::write', { path: 'x', bytes_base64: '' }], ['snapshot', {}], ['expose_port', { port: 80 }]])
      assert.match((await c.refused(P(leaf), { sandbox_id: box.sandbox_id, ...more })).message, /^\[S002\] /, leaf)
    assert.deepEqual(await c.call(P('stop'), { sandbox_id: box.sandbox_id }), {})
    const killed = await c.call(P('create'), { image: 'base' })
    await fetch(`${server.url}/sandboxes/${killed.sandbox_id}`, { method: 'DELETE', headers: { 'X-API-Key': server.key } })
    assert.match((await c.refused(P('exec'), { sandbox_id: killed.sandbox_id, cmd: 'true' })).message, /^\[S002\] /)
    assert.equal((await c.call(P('list'))).in_flight, 0)
    assert.match((await c.refused(P('create'), { image: 'no-such-image' })).message, /^\[S100\] /)
    await c.close()
  })

  test(name('IW-18 nothing secret is in what was printed, at the most verbose level'), async () => {
    assert.equal(await workers[era.name].stop(), 0)
    const { output } = workers[era.name]
    assert.ok(output.includes('DEBUG'))
    assert.equal(tokens.length, 1)
    for (const secret of [server.key, ...tokens, 'GREETING', 'swordfish', 'two words', b64('hello'), 'hello', 'a page']) assert.ok(!output.includes(secret), secret)
  })
}

leavesNothing(server)
