// Ports of sandboxes as the SDKs name them: getHost(), private ones, signed URLs that name no sandbox,
// what is said of closed and ended ones. wire.md 1.4, 1.8; semantics.md 3.
import test from 'node:test'
import assert from 'node:assert/strict'
import http from 'node:http'
import { until } from './server.mjs'
import { generations, leavesNothing, serve } from './guest.mjs'

const domain = 'sandlot.localhost'
const server = await serve([`--domain=${domain}`])
const browser = { 'User-Agent': 'Mozilla/5.0 (X11; Linux x86_64) Chrome/130', 'Sec-Fetch-Mode': 'navigate', Accept: 'text/html' }

// To this server whatever the host is called, as with a wildcard name that points to it.
function get(host, path = '/', headers = {}) {
  return new Promise((resolve, reject) => {
    http.get({ host: '127.0.0.1', port: server.port, path, headers: { Host: host, ...headers } }, (res) => {
      const parts = []
      res.on('data', (d) => parts.push(d)).on('end', () => resolve({ status: res.statusCode, headers: res.headers, body: Buffer.concat(parts).toString() }))
    }).on('error', reject)
  })
}

for (const { name: generation, Sandbox } of generations) {
  const name = (what) => `${generation}: ${what}`
  let sandbox

  async function serveFiles(box, port) {
    await box.files.write('/home/user/www/index.html', `page of ${port}`)
    await box.commands.run(`cd /home/user/www && exec python3 -m http.server ${port} --bind 127.0.0.1`, { background: true, timeoutMs: 0 })
  }

  test(name('getHost() names a port; any case, a port and a dot behind the name do not matter'), async () => {
    sandbox = await Sandbox.create('base')
    await serveFiles(sandbox, 8000)
    const host = sandbox.getHost(8000)
    assert.equal(host, `8000-${sandbox.sandboxId}.${domain}`)
    await until('it answers', async () => (await get(host)).status === 200)
    for (const spelled of [host, host.toUpperCase(), `${host}:${server.port}`, `${host}.`, `${host}.:${server.port}`])
      assert.deepEqual([spelled, (await get(spelled)).body], [spelled, 'page of 8000'])
    assert.equal((await get(`8000-${sandbox.sandboxId}-6532622b.${domain}`)).status, 200)
  })

  test(name('a closed port is told to programs as JSON, to people as a page'), async () => {
    const host = sandbox.getHost(8123)
    const told = await get(host)
    assert.deepEqual([told.status, JSON.parse(told.body)], [502, { sandboxId: sandbox.sandboxId, message: 'The sandbox is running but port is not open', port: 8123, code: 502 }])
    const page = await get(host, '/', browser)
    assert.equal(page.headers['content-type'], 'text/html; charset=utf-8')
    assert.match(page.body, /^<html.*no service running on port 8123.*<\/html>$/s)
  })

  test(name('uploadUrl() and downloadUrl() work as they are, without a name or a header for the sandbox'), async () => {
    const others = [await Sandbox.create('base'), await Sandbox.create('base')]
    const up = await sandbox.uploadUrl('signed.txt', { useSignatureExpiration: 60 })
    assert.ok(up.startsWith(`${server.url}/files?`), up)
    const form = new FormData()
    form.append('file', new Blob(['signed words']), 'ignored')
    assert.equal((await fetch(up, { method: 'POST', body: form })).status, 200)
    assert.equal(await sandbox.files.read('signed.txt'), 'signed words')
    const down = await sandbox.downloadUrl('signed.txt')
    assert.equal(await (await fetch(down)).text(), 'signed words')
    assert.equal(await (await fetch(down, { headers: { Range: 'bytes=7-' } })).text(), 'words')
    for (const wrong of [down.replace('signed.txt', 'other.txt'), up, down + 'x']) // the last but one is for writing
      assert.equal((await fetch(wrong)).status, 401, wrong)
    const late = await sandbox.downloadUrl('signed.txt', { useSignatureExpiration: -5 })
    const refused = await fetch(late)
    assert.deepEqual([refused.status, (await refused.json()).message], [401, 'signature is already expired'])
    const ended = await others[0].downloadUrl('/etc/hostname')
    assert.equal((await fetch(ended)).status, 200)
    await Promise.all(others.map((o) => o.kill()))
    assert.equal((await fetch(ended)).status, 401)
  })

  test(name('a private sandbox asks for its token on every port but envd\'s; maskRequestHost hides the name'), async () => {
    const box = await Sandbox.create('base', { network: { allowPublicTraffic: false, maskRequestHost: 'app.test:${PORT}' } })
    try {
      const host = box.getHost(8000)
      assert.deepEqual([(await get(host)).status, (await get(host, '/', { 'e2b-traffic-access-token': 'guess' })).status], [403, 403])
      assert.match((await get(host, '/', browser)).body, /Missing Traffic Access Token/)
      assert.equal((await box.commands.run('echo fine')).stdout, 'fine\n')
      await box.files.write('echo.py', `
import http.server
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(('%s %s' % (self.headers['Host'], self.headers['X-Forwarded-Host'])).encode())
http.server.HTTPServer(('127.0.0.1', 8000), H).serve_forever()`)
      await box.commands.run('exec python3 echo.py', { background: true, timeoutMs: 0 })
      const token = { 'e2b-traffic-access-token': box.trafficAccessToken }
      await until('it answers', async () => (await get(host, '/', token)).status === 200)
      assert.equal((await get(host, '/', token)).body, `app.test:8000 ${host}`)
    } finally {
      await box.kill()
    }
  })

  test(name('an ended sandbox is 502 on every port, and the SDK says that it does not run'), async () => {
    const host = sandbox.getHost(8000)
    await sandbox.kill()
    const told = await get(host)
    assert.deepEqual([told.status, JSON.parse(told.body)], [502, { sandboxId: sandbox.sandboxId, message: 'The sandbox was not found', code: 502 }])
    assert.match((await get(host, '/', browser)).body, /Sandbox Not Found/)
    assert.equal(await sandbox.isRunning(), false)
  })
}

leavesNothing(server)
