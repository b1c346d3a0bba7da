// What the server writes, at its highest level and with a line per request, holds no key, no token, no value of an
// environment variable and no content: both SDK generations, the CLI of the server, refused requests, and roles that die.
import test, { after } from 'node:test'
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { binary, startServer, until } from './server.mjs'

const place = mkdtempSync(path.join(os.tmpdir(), 'sandlot-output-'))
const outputPath = path.join(place, 'output')
const imported = `e2b_${randomBytes(20).toString('hex')}`
const server = await startServer(['--log.level=debug', '--log.requests'], () => {}, openSync(outputPath, 'a'), { E2B_API_KEYS: `${imported}:default` })
Object.assign(process.env, server.env)
let isStopped = false
const stop = async () => { if (!isStopped) await server.stop(); isStopped = true }
after(async () => { await stop(); rmSync(place, { recursive: true, force: true }) })

const secrets = new Map([['key', server.key], ['imported key', imported]]) // what it is -> its text
const hide = (what, text = `hidden-${randomBytes(12).toString('hex')}`) => {
  assert.ok(typeof text === 'string' && text.length >= 16, `${what}: ${text}`)
  secrets.set(what, text)
  return text
}
const call = (method, where, body, headers = { 'X-API-Key': server.key }) =>
  fetch(server.url + where, { method, headers: { 'Content-Type': 'application/json', ...headers }, body: body && JSON.stringify(body) })

for (const generation of ['e2b-old', 'e2b-new']) {
  test(`${generation}: a whole session`, { timeout: 60_000 }, async () => {
    const { Sandbox } = await import(generation)
    const of = (what) => `${what} of ${generation}`
    const sandbox = await Sandbox.create('base', { envs: { PASSWORD: hide(of('env value')) }, network: { allowPublicTraffic: false } })
    const detail = await (await call('GET', `/sandboxes/${sandbox.sandboxId}`)).json()
    hide(of('access token'), detail.envdAccessToken)
    hide(of('traffic token'), sandbox.trafficAccessToken)
    const run = await sandbox.commands.run('echo $PASSWORD $OTHER', { envs: { OTHER: hide(of('env value of a command')) } })
    assert.equal(run.stdout.trim(), `${secrets.get(of('env value'))} ${secrets.get(of('env value of a command'))}`)
    await sandbox.files.write('secret', hide(of('content')))
    assert.equal(await sandbox.files.read('secret'), secrets.get(of('content')))
    const url = new URL(await sandbox.downloadUrl('secret'))
    hide(of('signature'), url.searchParams.get('signature'))
    const direct = await fetch(`${server.url}${url.pathname}${url.search}`, { headers: { 'E2b-Sandbox-Id': sandbox.sandboxId, 'E2b-Sandbox-Port': '49983' } })
    assert.equal(await direct.text(), secrets.get(of('content')))
    const pty = await sandbox.pty.create({ cols: 80, rows: 24, onData: () => {} })
    await sandbox.pty.sendInput(pty.pid, new TextEncoder().encode(`echo ${hide(of('typed text'))}\n`))
    await pty.kill()
    await sandbox.setTimeout(120_000)
    const again = await Sandbox.connect(sandbox.sandboxId)
    await assert.rejects(again.commands.run('exit 3'))
    await again.kill()
  })
}

test('what is refused, and by whom', async () => {
  const unknown = hide('unknown key', `e2b_${randomBytes(20).toString('hex')}`)
  assert.equal((await call('GET', '/v2/sandboxes', null, { 'X-API-Key': unknown })).status, 401)
  assert.equal((await call('GET', '/v2/sandboxes', null, { Authorization: `Bearer ${unknown}` })).status, 401)
  assert.equal((await call('GET', '/v2/sandboxes', null, { 'X-API-Key': imported })).status, 200)
  assert.equal((await call('GET', '/nodes', null, { 'X-Admin-Token': hide('guessed operator token') })).status, 401)
  assert.equal((await call('GET', `/v2/sandboxes?metadata=${hide('query')}%3D1`)).status, 200)
  const refused = [
    [400, { 'BAD=NAME': hide('value of a bad name') }], [400, { A: [hide('value of a wrong type')] }],
    [413, { A: hide('huge value').repeat(5000) }],
  ]
  for (const [status, envVars] of refused) {
    const r = await call('POST', '/v2/sandboxes', { templateID: 'base', envVars })
    assert.equal(r.status, status, await r.text())
  }
  const broken = await fetch(`${server.url}/v2/sandboxes`, { method: 'POST', headers: { 'X-API-Key': server.key }, body: `{"templateID":"base","envVars":{"A":"${hide('broken body')}` })
  assert.equal(broken.status, 400)
  const hook = await call('POST', '/events/webhooks', { url: 'http://127.0.0.1:9/hook', secret: hide('webhook secret') }, { 'X-Admin-Token': hide('operator token', operator()) })
  assert.equal(hook.status, 201, await hook.text())
  const made = await (await call('POST', '/api-keys', { name: 'second' }, { 'X-Admin-Token': operator() })).json()
  hide('second key', made.key)
  assert.equal((await call('DELETE', `/api-keys/${made.id}`, null, { 'X-Admin-Token': operator() })).status, 204)
  assert.equal((await call('GET', '/v2/sandboxes', null, { 'X-API-Key': made.key })).status, 401)
})

// What the server's own commands read.
function operator() {
  return readFileSync(path.join(server.dir, 'data/admin.token'), 'utf8').trim()
}

test('roles that die and come back', async () => {
  const { Sandbox } = await import('e2b-new')
  const sandbox = await Sandbox.create('base', { envs: { PASSWORD: hide('env value of an adopted sandbox') } })
  for (const role of ['node', 'api', 'edge']) {
    const pid = server.rolePid(role)
    process.kill(pid, 'SIGKILL')
    await until(`${role} is back`, async () => server.rolePid(role) && server.rolePid(role) !== pid &&
      (await sandbox.commands.run('echo $PASSWORD').catch(() => ({}))).stdout?.trim() === secrets.get('env value of an adopted sandbox'), 10000)
  }
  await until('kill', () => sandbox.kill().catch(() => false), 10000)
})

test('no process of the server shows a secret in its arguments or, to others, its environment', () => {
  const pids = ['api', 'edge', 'node'].map((role) => server.rolePid(role))
  for (const pid of [server.child.pid, ...pids]) {
    const shown = readFileSync(`/proc/${pid}/cmdline`, 'utf8') + (pid === server.child.pid ? '' : readFileSync(`/proc/${pid}/environ`, 'utf8'))
    for (const [what, text] of secrets) assert.ok(!shown.includes(text), `${what} in /proc/${pid}`)
  }
})

test('events, logs and metrics hold none of it', async () => {
  const events = await (await call('GET', '/admin/events?limit=1000', null, { 'X-Admin-Token': operator() })).text()
  const metrics = await (await call('GET', '/metrics', null, { 'X-Admin-Token': operator() })).text()
  assert.match(events, /sandbox\.lifecycle\.killed/)
  for (const [what, text] of secrets) assert.ok(!events.includes(text) && !metrics.includes(text), what)
})

test('the output of all roles holds none of it', async () => {
  const shown = execFileSync(binary, ['status', `--data_dir=${server.dir}/data`, `--run_dir=${server.dir}/run`], { encoding: 'utf8' })
  await stop()
  const output = readFileSync(outputPath, 'utf8') + shown
  console.log(`# ${output.split('\n').length} lines, ${secrets.size} secrets`)
  assert.match(output, /request .*method=POST path="\/v2\/sandboxes" status=201/, 'requests are logged')
  assert.match(output, /sandbox\.created/)
  assert.match(output, / node[ :].*node\.peer_left|role=node/, 'the highest level is on')
  assert.match(output, /status=401/)
  for (const [what, text] of secrets) {
    const at = output.indexOf(text)
    assert.ok(at < 0, `${what}: ${output.slice(Math.max(0, at - 200), at + 100)}`)
    // Nor in the forms in which bytes travel.
    for (const form of ['base64', 'hex']) assert.ok(!output.includes(Buffer.from(text).toString(form).slice(0, 40)), `${what} as ${form}`)
  }
})
