// `sandlot worker` in local mode: the reference daemon's functions on real sandboxes, and channels, through
// the official iii SDKs of both eras. requirements.md D.1.
import test, { after } from 'node:test'
import assert from 'node:assert/strict'
import { leavesNothing, serve } from './guest.mjs'
import { Engine } from './engine.mjs'
import { caller, eras, startWorker } from './worker_kit.mjs'
import { until } from './server.mjs'

const server = await serve()
const engine = await new Engine({ newer: true }).start()
const worker = await startWorker(engine, { mode: 'local', api_base: server.url, image_allowlist: ['base'], bare_ids: true, max_concurrent_exec_per_sandbox: 1 }, { key: server.key })
after(async () => { await worker.stop(); await engine.kill() })
const L = (leaf) => `sandbox::provider::local::${leaf}`
const b64 = (text) => Buffer.from(text).toString('base64')

for (const era of eras) {
  const name = (what) => `${era.name}: ${what}`
  const c = caller(era, engine)
  const { call } = c
  let id
  const fault = async (leaf, payload) => JSON.parse((await c.refused(L(leaf), { sandbox_id: id, ...payload })).message)
  const fs = (leaf, payload) => call(L(`fs::${leaf}`), { sandbox_id: id, ...payload })

  test(name('all 16 functions are there, under both ids'), async () => {
    await until('they are', () => engine.functions.size >= 32)
    const leaves = [...engine.functions.keys()].filter((k) => k.startsWith(L(''))).map((k) => k.slice(L('').length))
    assert.equal(leaves.length, 16)
    for (const leaf of leaves) assert.ok(engine.functions.has(`sandbox::${leaf}`))
  })

  test(name('create, list, catalog; an image that is not allowed; what is the image\'s alone'), async () => {
    const box = await call('sandbox::create', { image: 'base', name: 'mine', env: ['A=1'] })
    id = box.sandbox_id
    const { sandboxes } = await call(L('list'))
    const one = sandboxes.find((s) => s.sandbox_id === id)
    assert.deepEqual({ ...one, age_secs: 0 }, { sandbox_id: id, name: 'mine', image: 'base', age_secs: 0, exec_in_progress: false, exec_in_flight: 0, exec_slots_free: 1, stopped: false })
    assert.deepEqual((await call(L('catalog::list'))).images, [{ name: 'base', oci_ref: null, kind: 'custom' }])
    assert.equal((await fault('create', { image: 'other' })).code, 'S100')
    assert.equal((await fault('create', { image: 'base', cpus: 2 })).code, 'S404')
  })

  test(name('exec: a command line, argv, input, time; too many at once'), async () => {
    const exec = (p) => call(L('exec'), { sandbox_id: id, ...p })
    const r = await exec({ cmd: 'printf "%s|" "a b" c\\ d \'e\'', env: { B: '2' } })
    assert.deepEqual([r.stdout, r.exit_code, r.success, r.timed_out, typeof r.duration_ms], ['a b|c d|e|', 0, true, false, 'number'])
    assert.equal((await exec({ argv: ['sh', '-c', 'echo $A; exit 3'] })).exit_code, 3)
    assert.equal((await exec({ cmd: 'cat', args: [], stdin: b64('from outside') })).stdout, 'from outside')
    assert.equal((await exec({ cmd: '/no/such' })).exit_code, 127)
    const slow = exec({ cmd: 'sleep 30', timeout_ms: 1500 })
    await until('it runs', async () => (await call(L('list'))).sandboxes.find((s) => s.sandbox_id === id).exec_in_flight === 1)
    const many = await fault('exec', { cmd: 'true' })
    assert.deepEqual([many.code, many.retryable], ['S003', true])
    const late = await slow
    assert.deepEqual([late.timed_out, late.exit_code, late.success], [true, null, false])
    assert.equal((await exec({ cmd: 'true' })).exit_code, 0)
    assert.equal((await fault('exec', { cmd: 'echo "' })).code, 'S001')
    assert.equal((await fault('exec', {})).code, 'S001')
  })

  test(name('files: mkdir, write, stat, ls, read, chmod, mv, rm and how they fail'), async () => {
    const d = `/tmp/d-${era.name}`
    assert.deepEqual(await fs('mkdir', { path: `${d}/a`, parents: true }), {})
    assert.deepEqual(await fs('write', { path: `${d}/a/x`, content: 'hällo', mode: '0640' }), { bytes_written: 6, path: `${d}/a/x` })
    await fs('write', { path: `${d}/b/y`, content_b64: b64('y'), parents: true })
    const stat = await fs('stat', { path: `${d}/a/x` })
    assert.deepEqual({ ...stat, mtime: 0 }, { name: 'x', is_dir: false, size: 6, mode: '0640', mtime: 0, is_symlink: false })
    assert.ok(Math.abs(stat.mtime - Date.now() / 1000) < 60)
    assert.deepEqual((await fs('ls', { path: d })).entries.map((e) => [e.name, e.is_dir]).sort(), [['a', true], ['b', true]])
    const r = await fs('read', { path: `${d}/a/x` })
    assert.deepEqual([r.body, r.size, r.mode, r.content.direction], ['hällo', 6, '0640', 'read'])
    await fs('chmod', { path: `${d}/a/x`, mode: '0600' })
    assert.equal((await fs('stat', { path: `${d}/a/x` })).mode, '0600')
    const codes = [
      ['fs::mkdir', { path: `${d}/q/w` }, 'S211', true], ['fs::write', { path: `${d}/q/w`, content: '' }, 'S211', true], ['fs::mkdir', { path: `${d}/a` }, 'S213'],
      ['fs::rm', { path: `${d}/a` }, 'S214'], ['fs::stat', { path: `${d}/none` }, 'S211'], ['fs::ls', { path: `${d}/a/x` }, 'S212'], ['fs::read', { path: d }, 'S212'],
      ['fs::mv', { src: `${d}/a/x`, dst: `${d}/b/y` }, 'S213'], ['fs::rm', { path: `${d}/none` }, 'S211'], ['fs::grep', { path: d, pattern: '(' }, 'S217'],
      ['fs::write', { path: 'x' }, 'S210'], ['fs::sed', { pattern: 'a', replacement: 'b' }, 'S210'],
    ]
    for (const [leaf, payload, code, has_fix] of codes) {
      const e = await fault(leaf, payload)
      assert.deepEqual([leaf, e.code, e.fix], [leaf, code, has_fix ? { parents: true } : undefined], e.message)
    }
    await fs('mv', { src: `${d}/a/x`, dst: `${d}/b/y`, overwrite: true })
    assert.equal((await fs('read', { path: `${d}/b/y` })).body, 'hällo')
    await fs('rm', { path: d, recursive: true })
    assert.equal((await fault('fs::stat', { path: d })).code, 'S211')
  })

  test(name('grep and sed'), async () => {
    const d = `/tmp/g-${era.name}`
    await fs('write', { path: `${d}/one`, content: 'a cat\nno\nCat cat\n', parents: true })
    await fs('write', { path: `${d}/two`, content: 'x/y\n' })
    const g = await fs('grep', { path: d, pattern: 'c[a]t' })
    assert.deepEqual(g, { matches: [{ path: `${d}/one`, line: 1, content: 'a cat' }, { path: `${d}/one`, line: 3, content: 'Cat cat' }], truncated: false })
    assert.deepEqual((await fs('grep', { path: d, pattern: 'cat', max_matches: 1 })).truncated, true)
    assert.deepEqual((await fs('grep', { path: d, pattern: 'zebra' })).matches, [])
    assert.deepEqual(await fs('sed', { files: [`${d}/one`, `${d}/two`], pattern: 'cat|x/', replacement: 'dog' }), { results: [{ path: `${d}/one`, replacements: 2 }, { path: `${d}/two`, replacements: 1 }], total_replacements: 3 })
    assert.equal((await fs('read', { path: `${d}/one` })).body, 'a dog\nno\nCat dog\n')
    assert.equal((await fault('fs::sed', { path: `${d}/none`, pattern: 'a', replacement: 'b' })).code, 'S211')
  })

  test(name('channels: 20 MB out and in again'), async () => {
    const big = Buffer.alloc(20_000_000, `${era.name} `)
    const { execution } = { execution: await call(L('exec'), { sandbox_id: id, argv: ['sh', '-c', `yes '${era.name}' | tr '\\n' ' ' | head -c 20000000 > /tmp/big`] }) }
    assert.equal(execution.exit_code, 0)
    const r = await fs('read', { path: '/tmp/big' })
    assert.deepEqual([r.size, r.body], [20_000_000, undefined])
    const read = async (ref) => {
      const { WebSocket } = await import('ws')
      const ws = new WebSocket(`${engine.url}/ws/channels/${ref.channel_id}?key=${ref.access_key}&dir=read`)
      const parts = []
      await new Promise((resolve, reject) => ws.on('message', (m) => parts.push(m)).on('close', resolve).on('error', reject))
      return Buffer.concat(parts)
    }
    assert.ok((await read(r.content)).equals(big))
    const { writer, reader } = await call('engine::channels::create', {})
    const { WebSocket } = await import('ws')
    const ws = new WebSocket(`${engine.url}/ws/channels/${writer.channel_id}?key=${writer.access_key}&dir=write`)
    await new Promise((resolve) => ws.on('open', resolve))
    for (let i = 0; i < big.length; i += 65536) ws.send(big.subarray(i, i + 65536))
    ws.close(1000)
    assert.equal((await fs('write', { path: '/tmp/back', content: reader })).bytes_written, big.length)
    assert.equal((await call(L('exec'), { sandbox_id: id, cmd: 'cmp /tmp/big /tmp/back' })).exit_code, 0)
  })

  test(name('run: a sandbox of its own, with files, ended or kept'), async () => {
    const before = (await call(L('list'))).sandboxes.length
    const r = await call(L('run'), { image: 'base', lang: 'python', code: 'import data; print(data.x); import sys; sys.exit(4)', files: [{ path: 'data.py', content: 'x = 42' }] })
    assert.deepEqual([r.stdout, r.exit_code, r.success, r.sandbox_id], ['42\n', 4, false, undefined])
    await until('its sandbox is gone', async () => (await call(L('list'))).sandboxes.length === before)
    const kept = await call(L('run'), { image: 'base', lang: 'shell', code: 'cat; echo kept', stdin: b64('in '), keep_sandbox: true })
    assert.equal(kept.stdout, 'in kept\n')
    assert.deepEqual(await call(L('stop'), { sandbox_id: kept.sandbox_id, wait: true }), { sandbox_id: kept.sandbox_id, stopped: true })
  })

  test(name('RX-17 stop, of one that is gone too'), async () => {
    for (let i = 0; i < 2; i++) assert.deepEqual(await call('sandbox::stop', { sandbox_id: id }), { sandbox_id: id, stopped: true })
    assert.equal((await fault('exec', { cmd: 'true' })).code, 'S002')
    await c.close()
  })
}

leavesNothing(server)
