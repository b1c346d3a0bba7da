// Pause, resume, snapshots and fork through the official JavaScript SDK of both generations, on real sandboxes.
// What this machine cannot do it says with 501 and its reason; those cases are skipped with that.
import test, { after } from 'node:test'
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { startServer, until } from './server.mjs'

const server = await startServer(['--sandbox.timeout_max=86400'])
Object.assign(process.env, server.env)
after(() => server.stop())

const { api } = server

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

// What people leave running: an interactive shell with a job, a tmux session, a server, a writer with an open
// file. Each counts; what it says afterwards must follow what it said before.
test('programs go on exactly: hot, again, and after kill -9 of all roles', { skip: noMemory }, async (t) => {
  const { Sandbox } = await import('e2b-new')
  const s = await Sandbox.create('base')
  const run = async (line) => (await s.commands.run(line)).stdout.trim()
  const steps = (file) => `i=0; while :; do i=$((i+1)); echo $i >>${file}; sleep .05; done`
  const screen = { text: '' }
  const onData = (d) => { screen.text += Buffer.from(d).toString() }

  const pty = await s.pty.create({ cols: 80, rows: 24, onData, timeoutMs: 0 })
  const type = (line) => s.pty.sendInput(pty.pid, Buffer.from(line + '\n'))
  await type(`x=41; ${steps('/tmp/job')} &`)
  await s.commands.run(`exec 3>/tmp/written; i=0; while :; do i=$((i+1)); echo $i >&3; sleep .05; done`, { background: true })
  await s.files.write('/tmp/http.js', `let n = 0
    require('http').createServer((q, a) => a.end(String(++n))).listen(8080, '127.0.0.1')`)
  await s.commands.run('node /tmp/http.js', { background: true })
  const tmux = await putTmux(s)
  if (tmux) await run(`${tmux} -f /dev/null new-session -d -s work -x 80 -y 24 'i=0; while :; do i=$((i+1)); echo $i; sleep .05; done'`)
  else t.diagnostic('no tmux on this machine: its session is left out')

  const ask = async () => fetch(server.url, { headers: { 'E2b-Sandbox-Id': s.sandboxId, 'E2b-Sandbox-Port': '8080' } })
    .then((a) => (a.ok ? a.text() : ''), () => '')
  const counts = {
    'job of the shell': () => run('tail -n 1 /tmp/job'),
    'open file': () => run('tail -n 1 /tmp/written'),
    'http server': ask,
    ...(tmux && { tmux: () => run(`${tmux} capture-pane -p -t work | grep . | tail -n 1`) }),
  }
  const last = {}
  const goOn = async () => {
    for (const [what, count] of Object.entries(counts)) {
      let now
      await until(`${what} goes on from ${last[what]}`, async () => (now = Number(await count())) > (last[what] ?? 0), 30_000)
      if (what === 'http server') assert.equal(now, (last[what] ?? 0) + 1)
      last[what] = now
    }
    for (const file of ['/tmp/job', '/tmp/written']) // no line is missing, none is there twice
      assert.equal(await run(`awk '$1 != NR { bad = 1 } END { print bad ? "bad" : "good" }' ${file}`), 'good', file)
    if (tmux) {
      const pane = (await run(`${tmux} capture-pane -p -t work | grep . | head -n -1`)).split('\n').map(Number)
      pane.forEach((n, i) => assert.equal(n, pane[0] + i, 'lines of the tmux session'))
    }
  }
  const killRoles = async () => {
    const roles = ['edge', 'node', 'api']
    const was = roles.map((r) => server.rolePid(r))
    for (const pid of was) process.kill(pid, 'SIGKILL')
    await until('all roles are back', () => roles.every((r, i) => ![0, was[i]].includes(server.rolePid(r))), 30_000)
    await until('it answers', async () => (await api('GET', `/sandboxes/${s.sandboxId}`).then((a) => a.status, () => 0)) === 200, 30_000)
  }

  await goOn()
  for (const between of [async () => {}, async () => {}, killRoles]) {
    assert.equal(await s.pause(), true)
    await between()
    await s.connect()
    await goOn()
    // The terminal itself: its shell knows its variable and its job, to a client that comes anew.
    screen.text = ''
    const again = await s.pty.connect(pty.pid, { onData, timeoutMs: 0 })
    await type('echo got $((x + 1)) $(jobs -r | grep -c Running)')
    await until('the shell answers', () => /got 42 1\r/.test(screen.text), 30_000).catch((e) => assert.fail(`${e.message}: ${screen.text}`))
    await again.disconnect()
  }
  await s.kill()
})

// The host's tmux with those of its libraries that the template has not.
async function putTmux(s) {
  const dir = '/opt/tmux'
  let libraries
  try {
    libraries = execFileSync('ldd', ['/usr/bin/tmux'], { encoding: 'utf8' }).match(/\/\S+/g)
  } catch {
    return undefined
  }
  const put = async (file) => s.files.write(`${dir}/${path.basename(file)}`, new Blob([readFileSync(file)]), { user: 'root' })
  await put('/usr/bin/tmux')
  for (const file of libraries)
    if (!(await s.files.exists(file))) await put(file)
  await s.commands.run(`chmod -R a+rx ${dir}`, { user: 'root' })
  return `LD_LIBRARY_PATH=${dir} TERM=xterm ${dir}/tmux`
}

// Of the same moment, and nothing the same that tells one from another. A generator of random numbers inside a
// process is the process's own memory: see docs/internals/checkpoints.md.
test('CL-25: fork of 20: ids, tokens, names and random bytes are all different', { skip: noMemory }, async () => {
  const { Sandbox } = await import('e2b-new')
  const count = 20
  const s = await Sandbox.create('base', { network: { allowPublicTraffic: false } })
  await s.commands.run(`python3 -c "
import os, time
while True:
    open('/tmp/new', 'w').write(os.urandom(16).hex())
    os.rename('/tmp/new', '/tmp/drawn')
    time.sleep(.1)"`, { background: true })
  await until('it draws', async () => (await s.files.exists('/tmp/drawn')), 10_000)
  const answer = await api('POST', `/sandboxes/${s.sandboxId}/fork`, { count, timeout: 600 })
  assert.equal(answer.status, 201)
  const made = (await answer.json()).map((one) => one.sandbox)
  assert.equal(made.filter(Boolean).length, count)
  const seen = {}
  const note = (what, value) => {
    assert.ok(value, what)
    ;(seen[what] ??= []).push(value)
  }
  await Promise.all([s.sandboxId, ...made.map((one) => one.sandboxID)].map(async (id) => {
    const copy = id === s.sandboxId ? s : await Sandbox.connect(id)
    const told = (await copy.commands.run(`rm -f /tmp/drawn; until [ -e /tmp/drawn ]; do sleep .05; done
      echo boot_id $(cat /proc/sys/kernel/random/boot_id); echo hostname $(cat /proc/sys/kernel/hostname)
      echo drawn by a process that ran before $(cat /tmp/drawn); echo urandom $(head -c 16 /dev/urandom | base64)
      [ ! -s /etc/machine-id ] || echo machine-id $(cat /etc/machine-id)`)).stdout.trim().split('\n')
    assert.equal(told.length, id === s.sandboxId && told.length === 4 ? 4 : 5) // the template has no machine-id
    for (const line of told) note(...line.match(/^(.+) (\S+)$/).slice(1))
    note('address', copy.getHost(8080))
  }))
  for (const one of made) {
    note('id', one.sandboxID)
    note('envd token', one.envdAccessToken)
    note('traffic token', one.trafficAccessToken)
  }
  for (const [what, values] of Object.entries(seen)) assert.equal(new Set(values).size, values.length, what)
  await Promise.all([s.sandboxId, ...made.map((one) => one.sandboxID)].map((id) => Sandbox.kill(id)))
})
