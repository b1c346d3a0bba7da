// The official JavaScript SDK, old and newest generation, with nothing but environment variables set.
import test, { before, after } from 'node:test'
import assert from 'node:assert/strict'
import WebSocket from 'ws'
import http from 'node:http'
import { startServer, sleep, until } from './server.mjs'

const server = await startServer()
Object.assign(process.env, server.env)
after(() => server.stop())

// An HTTP request with a Host of our choice, which fetch() does not allow.
function request(path, headers) {
  return new Promise((resolve, reject) => {
    const r = http.request({ host: '127.0.0.1', port: server.port, path, headers }, (res) => {
      let body = ''
      res.setEncoding('utf8')
      res.on('data', (d) => (body += d))
      res.on('end', () => resolve({ status: res.statusCode, headers: res.headers, body }))
    })
    r.on('error', reject)
    r.end()
  })
}

for (const generation of ['e2b-old', 'e2b-new']) {
  const { Sandbox, CommandExitError, NotFoundError, TimeoutError } = await import(generation)
  const name = (what) => `${generation}: ${what}`
  let sandbox

  before(async () => {})

  test(name('create'), async () => {
    sandbox = await Sandbox.create('base', { envs: { GLOBAL: 'g' }, metadata: { purpose: 'test', gen: generation } })
    assert.match(sandbox.sandboxId, /^i[a-z0-9]{20}$/)
    assert.equal(await sandbox.isRunning(), true)
  })

  test(name('commands.run: exit code, stdout, stderr'), async () => {
    const r = await sandbox.commands.run('echo out; echo err >&2')
    assert.deepEqual([r.exitCode, r.stdout, r.stderr], [0, 'out\n', 'err\n'])
    await assert.rejects(sandbox.commands.run('exit 7'), (e) => e instanceof CommandExitError && e.exitCode === 7)
    await assert.rejects(sandbox.commands.run('no-such-program'), (e) => e.exitCode === 127)
  })

  test(name('commands.run: env and cwd'), async () => {
    const r = await sandbox.commands.run('echo $GLOBAL $LOCAL $E2B_SANDBOX $E2B_SANDBOX_ID; pwd', { envs: { LOCAL: 'l' }, cwd: '/tmp' })
    assert.equal(r.stdout, `g l true ${sandbox.sandboxId}\n/tmp\n`)
    await assert.rejects(sandbox.commands.run('pwd', { cwd: '/no/such' }), /does not exist/)
  })

  test(name('commands.run: as user and as root'), async () => {
    const user = await sandbox.commands.run('id -un; id -u; echo $HOME; pwd; sudo -n id -u')
    assert.equal(user.stdout, 'user\n1000\n/home/user\n/home/user\n0\n')
    const root = await sandbox.commands.run('id -un; id -u; echo $HOME', { user: 'root' })
    assert.equal(root.stdout, 'root\n0\n/root\n')
  })

  test(name('languages: python, python3, node, npm, git'), async () => {
    const r = await sandbox.commands.run('python -c "print(1+1)"; python3 -c "import ssl, sqlite3; print(2)"; node -e "console.log(3)"; npm -v >/dev/null && git --version | cut -c1-3')
    assert.equal(r.stdout, '2\n2\n3\ngit\n')
  })

  test(name('large output arrives whole'), async () => {
    const r = await sandbox.commands.run('seq 1 200000')
    assert.equal(r.stdout.length, 1288895)
    assert.ok(r.stdout.endsWith('199999\n200000\n'))
  })

  test(name('background command streams and is killed'), async () => {
    let seen = ''
    const handle = await sandbox.commands.run('for i in 1 2 3; do echo line $i; sleep 0.1; done; sleep 1000', {
      background: true, onStdout: (d) => (seen += d),
    })
    await until('three lines', () => seen.includes('line 3'))
    assert.ok((await sandbox.commands.list()).some((p) => p.pid === handle.pid))
    assert.equal(await handle.kill(), true)
    await assert.rejects(handle.wait())
    await until('the process leaves the list', async () => !(await sandbox.commands.list()).some((p) => p.pid === handle.pid))
    assert.equal(await sandbox.commands.kill(99999), false)
  })

  test(name('stdin'), async () => {
    const handle = await sandbox.commands.run('read line; echo got $line', { background: true, stdin: true })
    await sandbox.commands.sendStdin(handle.pid, 'hello\n')
    assert.equal((await handle.wait()).stdout, 'got hello\n')
  })

  test(name('commands.connect joins a running command'), async () => {
    const handle = await sandbox.commands.run('sleep 0.3; echo late', { background: true })
    const joined = await sandbox.commands.connect(handle.pid)
    assert.equal((await joined.wait()).stdout, 'late\n')
  })

  test(name('a command that exceeds its timeout ends'), async () => {
    await assert.rejects(sandbox.commands.run('sleep 30', { timeoutMs: 300 }), (e) => e instanceof TimeoutError)
    await until('its process is gone', async () => !(await sandbox.commands.run('pgrep -x sleep || true')).stdout.trim())
  })

  test(name('files.write, read, exists, getInfo'), async () => {
    const info = await sandbox.files.write('dir/deep/a b.txt', 'héllo\n')
    assert.equal(info.path, '/home/user/dir/deep/a b.txt')
    assert.equal(await sandbox.files.read('dir/deep/a b.txt'), 'héllo\n')
    assert.equal(await sandbox.files.exists('dir/deep/a b.txt'), true)
    assert.equal(await sandbox.files.exists('dir/deep/none'), false)
    assert.equal((await sandbox.files.getInfo('dir/deep/a b.txt')).size, 7)
    assert.equal((await sandbox.commands.run('stat -c %U:%a dir/deep "dir/deep/a b.txt"')).stdout, 'user:755\nuser:644\n')
    await assert.rejects(sandbox.files.read('dir/none'), (e) => e instanceof NotFoundError)
    const bytes = new Uint8Array(300000).map((_, i) => i * 7)
    await sandbox.files.write('/tmp/bytes', bytes.buffer)
    assert.deepEqual(Buffer.from(await sandbox.files.read('/tmp/bytes', { format: 'bytes' })), Buffer.from(bytes))
    await sandbox.files.write('/tmp/empty', '')
    assert.equal(await sandbox.files.read('/tmp/empty'), '')
  })

  test(name('files.write of several files'), async () => {
    const written = await sandbox.files.write([{ path: '/tmp/m/1', data: 'one' }, { path: '/tmp/m/2', data: 'two' }])
    assert.deepEqual(written.map((w) => w.path).sort(), ['/tmp/m/1', '/tmp/m/2'])
    assert.equal(await sandbox.files.read('/tmp/m/2'), 'two')
  })

  test(name('files.list, makeDir, rename, remove'), async () => {
    assert.equal(await sandbox.files.makeDir('work/sub'), true)
    assert.equal(await sandbox.files.makeDir('work/sub'), false)
    await sandbox.files.write('work/x', '1')
    const list = await sandbox.files.list('work')
    assert.deepEqual(list.map((e) => [e.name, e.type]).sort(), [['sub', 'dir'], ['x', 'file']])
    assert.equal((await sandbox.files.rename('work/x', 'work/new/y')).path, '/home/user/work/new/y')
    assert.equal(await sandbox.files.exists('work/x'), false)
    await sandbox.files.remove('work')
    assert.equal(await sandbox.files.exists('work'), false)
    await assert.rejects(sandbox.files.list('work'), (e) => e instanceof NotFoundError)
  })

  test(name('getInfo, setTimeout'), async () => {
    const info = await sandbox.getInfo()
    assert.equal(info.sandboxId, sandbox.sandboxId)
    assert.deepEqual(info.metadata, { purpose: 'test', gen: generation })
    assert.equal(info.endAt - info.startedAt, 300000)
    await sandbox.setTimeout(60000)
    const left = (await sandbox.getInfo()).endAt - Date.now()
    assert.ok(left > 55000 && left <= 60500, `left ${left}`)
    const again = await sandbox.getInfo()
    assert.equal(+again.endAt, +(await sandbox.getInfo()).endAt)
  })

  test(name('connect extends and finds the same files'), async () => {
    const other = await Sandbox.connect(sandbox.sandboxId)
    assert.equal(other.sandboxId, sandbox.sandboxId)
    assert.equal(await other.files.read('/tmp/m/1'), 'one')
    assert.ok((await other.getInfo()).endAt - Date.now() > 290000)
  })

  test(name('Sandbox.list with a metadata filter'), async () => {
    const second = await Sandbox.create('base', { metadata: { 'k 1': 'v&2' } })
    const paginator = Sandbox.list({ query: { metadata: { 'k 1': 'v&2' } } })
    const found = await paginator.nextItems()
    assert.deepEqual(found.map((s) => s.sandboxId), [second.sandboxId])
    const all = await Sandbox.list().nextItems()
    assert.ok(all.length >= 2)
    assert.equal(await second.kill(), true)
  })

  test(name('a server on localhost answers by host name and by headers'), async () => {
    await sandbox.files.write('/srv/www/index.html', 'served')
    const web = await sandbox.commands.run('cd /srv/www && exec python3 -m http.server 8000 --bind 127.0.0.1', { background: true, user: 'root' })
    const host = `8000-${sandbox.sandboxId}.localhost:${server.port}`
    await until('it answers', async () => (await request('/', { host })).status === 200)
    assert.equal((await request('/index.html', { host })).body, 'served')
    const byHeader = await fetch(`${server.url}/index.html`, { headers: { 'E2b-Sandbox-Id': sandbox.sandboxId, 'E2b-Sandbox-Port': '8000' } })
    assert.equal(await byHeader.text(), 'served')
    await web.kill()
    const closed = await request('/', { host })
    assert.equal(closed.status, 502)
    assert.deepEqual(JSON.parse(closed.body), { sandboxId: sandbox.sandboxId, message: 'The sandbox is running but port is not open', port: 8000, code: 502 })
  })

  test(name('WebSocket echo'), async () => {
    await sandbox.files.write('/tmp/echo.mjs', `
import { createServer } from 'node:http'
import { createHash } from 'node:crypto'
createServer().on('upgrade', (req, socket) => {
  const accept = createHash('sha1').update(req.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64')
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Accept: ' + accept + '\\r\\n\\r\\n')
  socket.on('data', (d) => {
    const n = d[1] & 127, mask = d.subarray(2, 6), body = Buffer.from(d.subarray(6, 6 + n).map((b, i) => b ^ mask[i % 4]))
    if ((d[0] & 15) === 8) return socket.end(Buffer.concat([Buffer.from([0x88, n]), body]))
    socket.write(Buffer.concat([Buffer.from([0x81, n]), body]))
  })
}).listen(8001, '127.0.0.1')`)
    await sandbox.commands.run('node /tmp/echo.mjs', { background: true })
    const headers = { Host: `8001-${sandbox.sandboxId}.localhost` }
    const open = () => new Promise((resolve) => {
      const ws = new WebSocket(server.url.replace('http', 'ws'), { headers })
      ws.once('open', () => resolve(ws)).once('error', () => resolve(null))
    })
    let ws
    await until('it accepts', async () => (ws = await open()))
    for (const text of ['one', 'two', 'three']) {
      ws.send(text)
      assert.equal(String(await new Promise((r) => ws.once('message', r))), text)
    }
    ws.close(1000)
    assert.equal(await new Promise((r) => ws.once('close', r)), 1000)
  })

  test(name('pty'), async () => {
    let seen = ''
    const pty = await sandbox.pty.create({ cols: 100, rows: 30, onData: (d) => (seen += Buffer.from(d).toString()) })
    await sandbox.pty.sendInput(pty.pid, Buffer.from('stty size; exit\n'))
    await pty.wait().catch(() => {})
    assert.match(seen, /30 100/)
  })

  test(name('an unknown template and an unknown sandbox are told'), async () => {
    await assert.rejects(Sandbox.create('no-such-template'), /404.*not found/)
    await assert.rejects(Sandbox.connect('i00000000000000000000'), /not found|doesn't exist/i)
    await assert.rejects(Sandbox.create('base', { apiKey: 'e2b_' + '0'.repeat(40) }), /[Uu]nauthorized/)
  })

  test(name('kill'), async () => {
    assert.equal(await sandbox.kill(), true)
    assert.equal(await sandbox.isRunning(), false)
    assert.equal(await Sandbox.kill(sandbox.sandboxId), false)
    await assert.rejects(sandbox.commands.run('true'))
  })

  test(name('a sandbox whose timeout passes is gone, its processes too'), async () => {
    const short = await Sandbox.create('base', { timeoutMs: 1000 })
    const mark = `7${Math.floor(Math.random() * 1e6)}`
    await short.commands.run(`sleep ${mark}`, { background: true })
    const { execSync } = await import('node:child_process')
    const alive = () => execSync(`pgrep -fx 'sleep ${mark}' || true`, { encoding: 'utf8' }).trim()
    assert.notEqual(alive(), '')
    await until('it is gone', async () => !(await short.isRunning()), 4000)
    await until('its processes are gone', () => alive() === '')
    await assert.rejects(Sandbox.getInfo(short.sandboxId), /not found|doesn't exist/i)
  })
}
