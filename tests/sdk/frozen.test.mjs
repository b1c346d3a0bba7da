// CL-17: what no checkpoint can keep stays in RAM where that is wished (runtime.on_uncheckpointable=freeze), and who asked is told
// what that means.
import test, { after } from 'node:test'
import assert from 'node:assert/strict'
import { Sandbox } from 'e2b-new'
import { startServer } from './server.mjs'

const server = await startServer(['--runtime.on_uncheckpointable=freeze'])
Object.assign(process.env, server.env)
after(() => server.stop())

const { api } = server

const traced = `import ctypes, os, time
p = os.fork()
if p == 0: time.sleep(1000)
ctypes.CDLL(None).ptrace(0x4206, p, 0, 0)
open('/tmp/traced', 'w').close()
time.sleep(1000)`

test('a pause that only RAM keeps says so, in its answer and in the log', async (t) => {
  const s = await Sandbox.create('base')
  const pause = () => api('POST', `/sandboxes/${s.sandboxId}/pause`, {})
  const plain = await pause()
  if (plain.status === 501) return t.skip((await plain.json()).message)
  assert.equal(plain.status, 204)
  assert.equal(plain.headers.get('x-sandlot-warning'), null)
  await s.connect()
  await s.files.write('/tmp/traced.py', traced)
  await s.commands.run('python3 /tmp/traced.py', { background: true })
  await s.commands.run('while [ ! -e /tmp/traced ]; do sleep .05; done')
  const answer = await pause()
  assert.equal(answer.status, 204)
  assert.match(answer.headers.get('x-sandlot-warning'), /stays in RAM.* reboot/)
  const logs = await (await api('GET', `/v2/sandboxes/${s.sandboxId}/logs`)).json()
  assert.match(JSON.stringify(logs), /Memory stays in RAM: a reboot/)
  await s.connect()
  assert.match((await s.commands.run('pgrep -fc traced.py')).stdout, /^2/)
  await s.kill()
})
