// Secrets, rules and proxies through the newest SDK: what it sends is taken, kept and shown as it wants. What they do to
// requests is in tests/network.
import test, { after } from 'node:test'
import assert from 'node:assert/strict'
import { ALL_TRAFFIC, Sandbox, Secret } from 'e2b-new'
import { startServer } from './server.mjs'

const server = await startServer([])
Object.assign(process.env, server.env)
after(() => server.stop())

test('Secret: create, getInfo, update, list, exists, destroy', async () => {
  const made = await Secret.create('Open-AI', 'very-hidden', { metadata: { owner: 'me' } })
  assert.deepEqual([made.name, made.version, made.metadata], ['open-ai', 1, { owner: 'me' }])
  assert.ok(made.createdAt instanceof Date && made.updatedAt instanceof Date)
  assert.deepEqual(await Secret.getInfo(made.secretId), made)
  assert.deepEqual(await Secret.getInfo('OPEN-AI'), made)
  const next = await Secret.update('open-ai', 'other-hidden')
  assert.deepEqual([next.version, next.metadata], [2, { owner: 'me' }])
  assert.deepEqual((await Secret.update('open-ai', 'third', { metadata: {} })).metadata, {})
  await assert.rejects(Secret.create('open-ai', 'x'), /409|already exists/)
  assert.equal(await Secret.exists('open-ai'), true)
  assert.equal(await Secret.destroy('open-ai'), true)
  assert.equal(await Secret.destroy('open-ai'), false)
  assert.equal(await Secret.exists('open-ai'), false)
  await assert.rejects(Secret.update('open-ai', 'x'), { name: 'SecretNotFoundError' })
})

test('Secret.list pages', async () => {
  for (let i = 0; i < 5; i++) await Secret.create(`page-${i}`, 'x')
  const pages = Secret.list({ limit: 2 })
  const seen = []
  while (pages.hasNext) seen.push((await pages.nextItems()).map((s) => s.name))
  assert.deepEqual(seen, [['page-0', 'page-1'], ['page-2', 'page-3'], ['page-4']])
})

test('network.rules and egressProxy at create, in getInfo and by updateNetwork', { timeout: 60_000 }, async () => {
  const rules = { 'api.test': [{ transform: { headers: { Authorization: `Bearer ${Secret.fill('page-0')}` } } }] }
  const sandbox = await Sandbox.create('base', {
    network: { rules, allowOut: ({ rules }) => [...rules.keys()], denyOut: [ALL_TRAFFIC], egressProxy: { address: 'proxy.test:1080', username: 'me', password: 'hidden-password' } },
  })
  let { network } = await sandbox.getInfo()
  assert.deepEqual(network.rules, { 'api.test': [{ transform: { headers: { Authorization: 'Bearer ${e2b.secrets.page-0}' } } }] })
  assert.deepEqual(network.allowOut, ['api.test'])
  assert.deepEqual(network.egressProxy, { address: 'proxy.test:1080', username: 'me' })
  const run = await sandbox.commands.run('openssl x509 -noout -subject -in $NODE_EXTRA_CA_CERTS 2>/dev/null || head -1 $NODE_EXTRA_CA_CERTS; tail -1 /etc/ssl/certs/ca-certificates.crt; echo $SSL_CERT_FILE')
  assert.match(run.stdout, /Sandlot|BEGIN CERTIFICATE/)
  assert.match(run.stdout, /END CERTIFICATE/)
  assert.match(run.stdout, /ca-bundle\.crt/)
  await sandbox.updateNetwork({ rules: { '*.api.test': [{ transform: { headers: { 'X-A': '1' } } }] } })
  network = (await sandbox.getInfo()).network
  assert.deepEqual(Object.keys(network.rules), ['*.api.test'])
  assert.equal(network.egressProxy, undefined)
  await sandbox.updateNetwork({})
  assert.equal((await sandbox.getInfo()).network.rules, undefined)
  await assert.rejects(sandbox.updateNetwork({ rules: { '*': [] } }), /not valid/)
  await sandbox.kill()
})
