// Bad input gets an exact error and nothing is created.
import test, { after } from 'node:test'
import assert from 'node:assert/strict'
import net from 'node:net'
import { startServer } from './server.mjs'

const server = await startServer()
after(() => server.stop())
const auth = { 'X-API-Key': server.key }

async function call(method, path, body, headers = auth) {
  const r = await fetch(server.url + path, { method, headers: { 'Content-Type': 'application/json', ...headers }, body })
  const text = await r.text()
  return { status: r.status, type: r.headers.get('content-type'), body: text ? JSON.parse(text) : null }
}

// Bytes on the wire, as no client library would send them.
function raw(bytes) {
  return new Promise((resolve, reject) => {
    let got = ''
    const s = net.connect(server.port, '127.0.0.1', () => s.write(bytes))
    s.setTimeout(5000, () => s.destroy(new Error('no answer')))
    s.on('data', (d) => (got += d)).on('close', () => resolve(got)).on('error', reject)
  })
}

async function running() {
  return (await call('GET', '/v2/sandboxes')).body.length
}

const rows = [
  ['not JSON', 'POST', '/sandboxes', '{', auth, 400, /^Error when parsing request: /],
  ['JSON of the wrong type', 'POST', '/sandboxes', '[]', auth, 400, /^Error when parsing request: /],
  ['a number for a name', 'POST', '/v2/sandboxes', '{"templateID":7}', auth, 400, /templateID/],
  ['text for a number', 'POST', '/v2/sandboxes', '{"templateID":"base","timeout":"soon"}', auth, 400, /timeout/],
  ['no templateID', 'POST', '/v2/sandboxes', '{}', auth, 400, /templateID/],
  ['timeout 0', 'POST', '/v2/sandboxes', '{"templateID":"base","timeout":0}', auth, 400, /^Timeout must be greater than 0$/],
  ['timeout beyond the maximum', 'POST', '/v2/sandboxes', '{"templateID":"base","timeout":2147483647}', auth, 400, /^Timeout cannot be greater than 24 hours$/],
  ['metadata that is not text', 'POST', '/sandboxes', '{"templateID":"base","metadata":{"a":1}}', auth, 400, /metadata/],
  ['both spellings that differ', 'POST', '/sandboxes', '{"templateID":"base","allow_internet_access":true,"allowInternetAccess":false}', auth, 400, /./],
  ['unknown template', 'POST', '/sandboxes', '{"templateID":"nope"}', auth, 404, /^template 'nope' not found$/],
  ['unknown tag', 'POST', '/sandboxes', '{"templateID":"base:v9"}', auth, 404, /^tag 'v9' does not exist for template 'base'$/],
  ['bad characters in the template', 'POST', '/sandboxes', '{"templateID":"a/b/c"}', auth, 400, /./],
  ['no key', 'POST', '/sandboxes', '{"templateID":"base"}', {}, 401, /./],
  ['a key in a wrong format', 'POST', '/sandboxes', '{"templateID":"base"}', { 'X-API-Key': 'nonsense' }, 401, /^authorization header is malformed$/],
  ['an unknown key', 'POST', '/sandboxes', '{"templateID":"base"}', { 'X-API-Key': 'e2b_' + '0'.repeat(40) }, 401, /Invalid API key/],
  ['a body over the limit', 'POST', '/sandboxes', JSON.stringify({ templateID: 'base', metadata: { a: 'x'.repeat(3 << 20) } }), auth, 413, /./],
  ['unknown route', 'GET', '/nothing/here', undefined, auth, 404, /./],
  ['known route, other method', 'PUT', '/sandboxes', '{}', auth, 405, /./],
  ['unknown sandbox: get', 'GET', '/sandboxes/i00000000000000000000', undefined, auth, 404, /doesn't exist or you don't have access to it/],
  ['unknown sandbox: delete', 'DELETE', '/sandboxes/i00000000000000000000', undefined, auth, 404, /./],
  ['unknown sandbox: timeout', 'POST', '/sandboxes/i00000000000000000000/timeout', '{"timeout":5}', auth, 404, /./],
  ['unknown sandbox: connect', 'POST', '/v2/sandboxes/i00000000000000000000/connect', '{}', auth, 404, /./],
  ['malformed sandbox id', 'GET', '/sandboxes/a-b-c', undefined, auth, 400, /^Invalid sandbox ID$/],
  ['bad page token', 'GET', '/v2/sandboxes?nextToken=%%%', undefined, auth, 400, /./],
  ['bad limit', 'GET', '/v2/sandboxes?limit=0', undefined, auth, 400, /./],
  ['not implemented yet: volumes', 'POST', '/volumes', '{}', auth, 501, /not implemented/],
]

for (const [what, method, path, body, headers, status, message] of rows) {
  test(`${what}: ${status}`, async () => {
    const r = await call(method, path, body, headers)
    assert.equal(r.status, status, JSON.stringify(r.body))
    assert.match(r.type ?? '', /^application\/json/)
    assert.equal(r.body.code, status)
    assert.equal(Number.isInteger(r.body.code), true)
    assert.match(r.body.message, message)
    assert.equal(await running(), 0)
  })
}

const malformed = {
  'bare LF': 'GET /health HTTP/1.1\nHost: x\n\n',
  'no Host': 'GET /health HTTP/1.1\r\n\r\n',
  'two lengths': 'POST /sandboxes HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}',
  'length and chunked': 'POST /sandboxes HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'blank before the colon': 'GET /health HTTP/1.1\r\nHost : x\r\n\r\n',
  'NUL in a value': 'GET /health HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n',
  'bad chunk size': 'POST /sandboxes HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
  'not HTTP at all': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n',
}
for (const [what, bytes] of Object.entries(malformed)) {
  test(`malformed HTTP, ${what}: 400 and closed`, async () => {
    const got = await raw(bytes)
    assert.match(got, /^HTTP\/1\.1 400 /)
    const body = JSON.parse(got.slice(got.indexOf('\r\n\r\n') + 4))
    assert.equal(body.code, 400)
    assert.equal(typeof body.message, 'string')
  })
}

test('a head without end: 431 and closed', async () => {
  assert.match(await raw('GET /health HTTP/1.1\r\nHost: x\r\nA: ' + 'a'.repeat(100000)), /^HTTP\/1\.1 431 /)
})

test('data plane: unknown sandbox 502, private envd routes 404, missing header 400', async () => {
  const at = (id, port, path = '/') => fetch(server.url + path, { headers: { 'E2b-Sandbox-Id': id, 'E2b-Sandbox-Port': String(port) } })
  const gone = await at('i00000000000000000000', 49983, '/health')
  assert.equal(gone.status, 502)
  assert.deepEqual(await gone.json(), { sandboxId: 'i00000000000000000000', message: 'The sandbox was not found', code: 502 })
  for (const path of ['/init', '/freeze', '/unfreeze', '/upgrade']) {
    const r = await at('i00000000000000000000', 49983, path)
    assert.equal(r.status, 404)
    assert.equal((await r.json()).path, path)
  }
  const missing = await fetch(server.url + '/', { headers: { 'E2b-Sandbox-Id': 'i00000000000000000000' } })
  assert.equal(missing.status, 400)
})
