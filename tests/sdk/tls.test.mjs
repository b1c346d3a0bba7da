// The published clients over https, as they compute addresses from a domain: nothing but E2B_DOMAIN and an
// authority of `sandlot cert`. They offer h2 by ALPN. wire.md 1.4, 1.7.
import test from 'node:test'
import assert from 'node:assert/strict'
import dns from 'node:dns'
import http2 from 'node:http2'
import net from 'node:net'
import tls from 'node:tls'
import path from 'node:path'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, chmodSync } from 'node:fs'
import os from 'node:os'
import { binary, startServer } from './server.mjs'

// Node.js reads NODE_EXTRA_CA_CERTS when it starts: the first process makes the certificate, the second tests.
if (!process.env.SANDLOT_TLS_DIR) {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'sandlot-sdk-tls-'))
  chmodSync(dir, 0o755)
  execFileSync(binary, ['cert', 'box.localhost', '*.box.localhost', `--dir=${dir}`])
  const env = { ...process.env, SANDLOT_TLS_DIR: dir, NODE_EXTRA_CA_CERTS: path.join(dir, 'ca.pem') }
  const done = spawnSync(process.execPath, ['--test-reporter=tap', import.meta.filename], { env, stdio: 'inherit' })
  rmSync(dir, { recursive: true })
  process.exit(done.status ?? 1)
}

const dir = process.env.SANDLOT_TLS_DIR
const domain = 'box.localhost'
const server = await startServer([`--tls.certificates=${dir}/cert.pem:${dir}/cert.key`, '--edge.access_log=off'])
Object.assign(process.env, { E2B_API_KEY: server.key, E2B_DOMAIN: `${domain}:${server.port}` })
for (const name of ['E2B_API_URL', 'E2B_SANDBOX_URL', 'E2B_DEBUG']) delete process.env[name]

// The resolver of this machine may not know names below localhost (RFC 6761 says that it should).
const lookup = dns.lookup
dns.lookup = (name, options, done) => lookup(name.endsWith('.localhost') ? '127.0.0.1' : name, options, done)

const { Sandbox: Old } = await import('e2b-old')
const { Sandbox: New } = await import('e2b-new')

for (const [generation, Sandbox] of [['2.45', Old], ['newest', New]]) {
  test(`${generation}: create, commands, files, list and kill by E2B_DOMAIN alone`, async () => {
    const sandbox = await Sandbox.create('base')
    assert.equal((await sandbox.commands.run('echo hello')).stdout, 'hello\n')
    await sandbox.files.write('/home/user/a.txt', 'over TLS')
    assert.equal(await sandbox.files.read('/home/user/a.txt'), 'over TLS')
    let out = ''
    await sandbox.commands.run('for i in 1 2 3; do echo $i; sleep 0.05; done', { onStdout: (d) => { out += d } })
    assert.equal(out, '1\n2\n3\n')
    assert.equal((await fetch(await sandbox.downloadUrl('/home/user/a.txt'))).status, 200)

    await sandbox.commands.run('cd /home/user && exec python3 -m http.server 8000 --bind 127.0.0.1', { background: true, timeoutMs: 0 })
    const host = sandbox.getHost(8000)
    let page
    for (let i = 0; i < 100 && page?.status !== 200; i++) {
      page = await fetch(`https://${host}/a.txt`)
      if (page.status !== 200) await new Promise((r) => setTimeout(r, 50))
    }
    assert.equal(await page.text(), 'over TLS')
    assert.equal(await sandbox.isRunning(), true)
    await sandbox.kill()
    assert.equal(await sandbox.isRunning(), false)
  })
}

test('the same connection speaks h2 where it is offered', async () => {
  const session = http2.connect(`https://api.${domain}:${server.port}`, {
    ca: readFileSync(path.join(dir, 'ca.pem')),
    createConnection: () => tls.connect({ socket: net.connect(server.port, '127.0.0.1'), servername: `api.${domain}`, ALPNProtocols: ['h2'] }),
  })
  const stream = session.request({ ':path': '/health' })
  const status = await new Promise((resolve, reject) => stream.on('response', (h) => resolve(h[':status'])).on('error', reject))
  assert.equal(status, 204)
  session.destroy()
})

test.after(() => server.stop())
