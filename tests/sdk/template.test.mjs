// Templates built by the published clients, both generations, against real sandboxes (CT-*, wire.md 5).
import test from 'node:test'
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, mkdirSync, writeFileSync, symlinkSync, chmodSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import * as oldSdk from 'e2b-old'
import * as newSdk from 'e2b-new'
import { root, startServer } from './server.mjs'

// How this machine's apt reaches its mirror; told by the test that installs in a sandbox.
const apt = JSON.parse(execFileSync('python3', [path.join(root, 'tests/network/apt_test.py'), '--how'], { encoding: 'utf8' }))
const server = await startServer(apt.addresses?.length ? [`--egress.allow=${apt.addresses.join(',')}`] : [])
process.env.E2B_API_KEY = server.key
const options = { apiUrl: server.url, sandboxUrl: server.url, apiKey: server.key }
const context = mkdtempSync(path.join(os.tmpdir(), 'sandlot-context-'))
writeFileSync(path.join(context, 'plain.txt'), 'plain\n')
mkdirSync(path.join(context, 'tree/deep'), { recursive: true })
writeFileSync(path.join(context, 'tree/one.txt'), 'one\n')
writeFileSync(path.join(context, 'tree/.hidden'), 'hidden\n')
writeFileSync(path.join(context, 'tree/deep/run.sh'), '#!/bin/sh\necho ran\n')
chmodSync(path.join(context, 'tree/deep/run.sh'), 0o755)
symlinkSync('one.txt', path.join(context, 'tree/link'))

test.after(async () => {
  await server.stop()
  rmSync(context, { recursive: true })
})

async function inside(sdk, template, command, extra = {}) {
  const sandbox = await sdk.Sandbox.create(template, options)
  try {
    return (await sandbox.commands.run(command, extra)).stdout.trim()
  } finally {
    await sandbox.kill()
  }
}

for (const [name, sdk] of [['2.45', oldSdk], ['newest', newSdk]]) {
  const { Template } = sdk
  const from = () => Template({ fileContextPath: context }).fromTemplate('base')
  const build = (template, alias, more = {}) => Template.build(template, `${alias}-${name.replace('.', '')}`, { ...options, ...more })
  const id = (alias) => `${alias}-${name.replace('.', '')}`

  test(`${name}: steps of every type, in order, with their effects`, async () => {
    const logs = []
    const template = from()
      .copy('plain.txt', '/srv/')
      .copy('tree', '/srv/tree', { user: 'root', mode: 0o755 })
      .setEnvs({ GREETING: 'hello', BOTH: '$GREETING $(date) "$5"' })
      .setUser('root')
      .runCmd('id -un >/srv/who; echo "$GREETING" >/srv/greeting; pwd >/srv/root-pwd')
      .setWorkdir('/srv/work')
      .setUser('user')
      .runCmd('pwd >~/pwd; id -un >>~/pwd')
      .runCmd('id -un >/root/who', { user: 'root' })
    await build(template, 'steps', { onBuildLogs: (entry) => logs.push(entry) })
    const out = await inside(sdk, id('steps'),
      'cat /srv/plain.txt /srv/tree/link /srv/tree/.hidden /srv/who /srv/greeting ~/pwd; /srv/tree/deep/run.sh; ' +
      'stat -c "%U %a" /srv/tree/one.txt /srv/plain.txt; readlink /srv/tree/link; echo "$BOTH"; pwd; sudo cat /root/who; cat /.e2b')
    assert.deepEqual(out.split('\n').slice(0, 16), ['plain', 'one', 'hidden', 'root', 'hello', '/srv/work', 'user', 'ran',
      'root 755', 'user 644', 'one.txt', 'hello $(date) "$5"', '/srv/work', 'root', out.split('\n')[14], out.split('\n')[15]])
    assert.match(out, /ENV_ID=.*\nTEMPLATE_ID=.*\nBUILD_ID=[0-9a-f-]{36}/)
    const texts = logs.map((l) => l.message)
    assert(texts.some((t) => t.includes('[builder 1/')), texts.join('\n'))
    // the server's own: the client adds lines by its clock
    const times = logs.slice(logs.findIndex((l) => l.message === 'Waiting for logs...') + 1).map((l) => l.timestamp.getTime())
    assert(times.length > 10)
    assert.deepEqual(times, [...times].sort((a, b) => a - b))
  })

  test(`${name}: a second build comes from the cache in under 2 s, skipCache does not`, async () => {
    const template = () => from().runCmd('head -c 8 /dev/urandom | od -An -tx1 >/tmp/random').runCmd('cp /tmp/random ~/random')
    const random = () => inside(sdk, id('cached'), 'cat ~/random')
    await build(template(), 'cached')
    const first = await random()
    const logs = []
    const began = Date.now()
    await build(template(), 'cached', { onBuildLogs: (l) => logs.push(l.message) })
    const took = Date.now() - began
    assert.equal(await random(), first)
    assert(logs.filter((l) => l.startsWith('CACHED ')).length === 2, logs.join('\n'))
    assert(took < 2000, `${took} ms`)
    await build(template(), 'cached', { skipCache: true })
    assert.notEqual(await random(), first)
  })

  test(`${name}: a failing step names itself, its output and its exit code`, async () => {
    await assert.rejects(build(from().runCmd('true').runCmd('echo about to fail; exit 7'), 'failing'), (error) => {
      assert.equal(error.name, 'BuildError')
      assert.match(error.message, /exit code 7/)
      assert.match(error.message, /about to fail/)
      return true
    })
  })

  test(`${name}: from a template that was built, its environment, user and directory are there`, async () => {
    await build(from().setEnvs({ FIRST: '1' }).setWorkdir('/opt').runCmd('true'), 'parent')
    await build(Template().fromTemplate(id('parent')).setEnvs({ SECOND: '2' }).runCmd('echo "$FIRST$SECOND" >~/sum'), 'child')
    assert.equal(await inside(sdk, id('child'), 'cat ~/sum; pwd; echo $FIRST$SECOND'), '12\n/opt\n12')
  })

  test(`${name}: from a Dockerfile`, async () => {
    const dockerfile = 'FROM e2bdev/base\nENV A=b\nWORKDIR /app\nCOPY plain.txt .\nRUN echo $A >a.txt\nUSER user\n'
    await build(Template({ fileContextPath: context }).fromDockerfile(dockerfile), 'docker')
    assert.equal(await inside(sdk, id('docker'), 'cat /app/plain.txt /app/a.txt; pwd; id -un'), 'plain\nb\n/app\nuser')
  })

  test(`${name}: aptInstall takes a package from the mirror of this machine`, { skip: apt.why ?? false }, async () => {
    let template = from().runCmd('rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*', { user: 'root' })
    apt.settings.forEach((file, i) => {
      copyFileSync(file, path.join(context, `apt-${i}`))
      template = template.copy(`apt-${i}`, file, { user: 'root' })
    })
    if (apt.tls) template = template.runCmd('update-ca-certificates', { user: 'root' })
    await build(template.aptInstall(['hello'], { noInstallRecommends: true }), 'apt')
    assert.equal(await inside(sdk, id('apt'), 'hello'), 'Hello, world!')
  })

  for (const [what, ready] of [
    ['waitForPort', sdk.waitForPort(8000)],
    ['waitForURL', sdk.waitForURL('http://localhost:8000/')],
    ['waitForProcess', sdk.waitForProcess('python3')],
    ['waitForFile', sdk.waitForFile('/tmp/started')],
    ['waitForTimeout', sdk.waitForTimeout(1000)],
  ])
    test(`${name}: a start command runs in new sandboxes, ready by ${what}`, async () => {
      await build(from().setStartCmd('touch /tmp/started; exec python3 -m http.server 8000', ready), `start-${what.toLowerCase()}`)
      const out = await inside(sdk, id(`start-${what.toLowerCase()}`),
        'for i in $(seq 50); do curl -sf -o /dev/null http://localhost:8000/ && echo served && break; sleep 0.2; done')
      assert.equal(out, 'served')
    })

  test(`${name}: in the background, with its status; exists; tags`, async () => {
    const alias = id('tagged')
    assert.equal(await Template.exists(alias, options), false)
    const info = await Template.buildInBackground(from().runCmd('sleep 0.3'), `${alias}:v1`, options)
    assert.match(info.buildId, /^[0-9a-f-]{36}$/)
    let status
    do status = await Template.getBuildStatus(info, { ...options, logsOffset: 0 })
    while (status.status === 'building' || status.status === 'waiting')
    assert.equal(status.status, 'ready')
    assert(status.logEntries.length > 2)
    assert.equal(await Template.exists(alias, options), true)
    assert.equal(await inside(sdk, `${alias}:v1`, 'echo v1'), 'v1')
    await assert.rejects(sdk.Sandbox.create(alias, options), /tag 'default' does not exist/)
    const assigned = await Template.assignTags(`${alias}:v1`, ['stable', 'default'], options)
    assert.equal(assigned.buildId, info.buildId)
    assert.deepEqual((await Template.getTags(alias, options)).map((t) => t.tag).sort(), ['default', 'stable', 'v1'])
    assert.equal(await inside(sdk, alias, 'echo default'), 'default')
    await Template.removeTags(alias, 'stable', options)
    await assert.rejects(sdk.Sandbox.create(`${alias}:stable`, options), /tag 'stable' does not exist/)
  })
}
