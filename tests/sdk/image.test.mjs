// Sandboxes of container images, with the published clients of both generations: pulled from a registry of the test's own,
// pushed by skopeo, and one of a hundred layers (CT-11, CT-13, CT-17 to CT-22). The image is busybox alone.
import test from 'node:test'
import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import * as oldSdk from 'e2b-old'
import * as newSdk from 'e2b-new'
import { binary, startServer, until } from './server.mjs'

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const LAYER = 'application/vnd.oci.image.layer.v1.tar'
const login = { username: 'robot', password: 'pass:word' }
const place = mkdtempSync(path.join(os.tmpdir(), 'sandlot-image-'))
const sha = (data) => `sha256:${createHash('sha256').update(data).digest('hex')}`

function layer(fill) {
  const tree = mkdtempSync(path.join(place, 'tree-'))
  fill(tree)
  const data = execFileSync('tar', ['-C', tree, '--owner=0', '--group=0', '--numeric-owner', '-cf', '-', ...readdirSync(tree)], { maxBuffer: 64 << 20 })
  rmSync(tree, { recursive: true })
  return data
}

const files = (list) => layer((tree) => {
  for (const [name, content] of Object.entries(list)) {
    mkdirSync(path.join(tree, path.dirname(name)), { recursive: true })
    writeFileSync(path.join(tree, name), content)
  }
})

const base = layer((tree) => {
  for (const name of ['bin', 'etc', 'proc', 'sys', 'dev', 'root', 'home', 'run', 'var', 'srv', 'tmp']) mkdirSync(path.join(tree, name))
  chmodSync(path.join(tree, 'tmp'), 0o1777)
  const busybox = execFileSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).trim()
  copyFileSync(busybox, path.join(tree, 'bin/busybox'))
  for (const name of execFileSync(busybox, ['--list'], { encoding: 'utf8' }).split('\n')) {
    if (name && name !== 'busybox') symlinkSync('busybox', path.join(tree, 'bin', name))
  }
  writeFileSync(path.join(tree, 'bin/bash'), '#!/bin/sh\nexec /bin/sh "$@"\n', { mode: 0o755 })
  writeFileSync(path.join(tree, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n')
  writeFileSync(path.join(tree, 'etc/group'), 'root:x:0:\n')
  writeFileSync(path.join(tree, 'srv/old'), 'old')
  writeFileSync(path.join(tree, 'srv/gone'), 'gone')
})

// Blobs and a manifest, as a registry has them.
function image(...layers) {
  const blobs = new Map(layers.map((data) => [sha(data), data]))
  const config = Buffer.from(JSON.stringify({
    architecture: 'amd64', os: 'linux', config: { Env: ['PATH=/usr/local/bin:/usr/bin:/bin:/sbin', 'FROM_IMAGE=yes'], User: 'nobody', Cmd: ['false'] },
    rootfs: { type: 'layers', diff_ids: layers.map(sha) },
  }))
  blobs.set(sha(config), config)
  const manifest = Buffer.from(JSON.stringify({
    schemaVersion: 2, mediaType: MANIFEST,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: sha(config), size: config.length },
    layers: layers.map((data) => ({ mediaType: LAYER, digest: sha(data), size: data.length })),
  }))
  blobs.set(sha(manifest), manifest)
  return { blobs, manifest }
}

function layout({ blobs, manifest }) {
  const dir = mkdtempSync(path.join(place, 'layout-'))
  mkdirSync(path.join(dir, 'blobs/sha256'), { recursive: true })
  for (const [digest, data] of blobs) writeFileSync(path.join(dir, 'blobs/sha256', digest.slice(7)), data)
  writeFileSync(path.join(dir, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  writeFileSync(path.join(dir, 'index.json'), JSON.stringify({
    schemaVersion: 2, manifests: [{ mediaType: MANIFEST, digest: sha(manifest), size: manifest.length }],
  }))
  return dir
}

const deepLayers = [base]
for (let i = 1; i < 100; i++) {
  deepLayers.push(files({ [`srv/deep/${i}`]: `${i}`, 'srv/deep/last': `${i}`, [`srv/deep/.wh.${i - 1}`]: '' }))
}
const images = {
  'team/app': image(base, files({ 'srv/old': 'new', 'srv/.wh.gone': '' })),
  'team/deep': image(...deepLayers),
}

const registry = http.createServer((request, response) => {
  const send = (status, body = '', headers = {}) => response.writeHead(status, { 'Content-Length': Buffer.byteLength(body), ...headers }).end(body)
  const wanted = `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`
  const found = request.url.match(/^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/)
  if (request.headers.authorization !== wanted) return send(401, '', { 'WWW-Authenticate': 'Basic realm="tests"' })
  const at = found && images[found[1]]
  if (!at) return send(404)
  const data = found[2] === 'manifests' && found[3] === '1' ? at.manifest : at.blobs.get(found[3])
  return data ? send(200, data, { 'Content-Type': found[2] === 'manifests' ? MANIFEST : 'application/octet-stream' }) : send(404)
})
await new Promise((resolve) => registry.listen(0, '127.0.0.1', resolve))
const host = `127.0.0.1:${registry.address().port}`

const server = await startServer(['--images.allow=127.0.0.1', `--images.plain_http=${host}`])
process.env.E2B_API_KEY = server.key
const options = { apiUrl: server.url, sandboxUrl: server.url, apiKey: server.key }

test.after(async () => {
  registry.close()
  await server.stop()
  rmSync(place, { recursive: true })
})

async function inside(sdk, template, command) {
  const sandbox = await sdk.Sandbox.create(template, options)
  try {
    return (await sandbox.commands.run(command)).stdout.trim().split('\n')
  } finally {
    await sandbox.kill()
  }
}

const look = 'cat /srv/old; echo; ls /srv/gone 2>/dev/null; echo "$FROM_IMAGE"; id -un; cat /srv/step; pwd'
const seen = ['new', 'yes', 'user', 'root', '/home/user']

for (const [name, sdk] of [['2.45', oldSdk], ['newest', newSdk]]) {
  test(`${name}: fromImage of a private registry, steps over it, a command in a sandbox of it`, async () => {
    const { Template } = sdk
    const logs = []
    const template = Template().fromImage(`${host}/team/app:1`, login).setUser('root').runCmd('id -un >/srv/step').setUser('user')
    await Template.build(template, `app-${name.replace('.', '')}`, { ...options, onBuildLogs: (entry) => logs.push(entry.message) })
    assert.ok(logs.some((line) => line.includes('layer 1/2')), logs.join('\n'))
    assert.deepEqual(await inside(sdk, `app-${name.replace('.', '')}`, look), seen)
    const wrong = Template().fromImage(`${host}/team/app:1`, { ...login, password: 'secret-guess' })
    await assert.rejects(Template.build(wrong, 'wrong', options), (e) => /image/.test(e.message) && !/secret-guess/.test(e.message))
  })
}

test('an image of a hundred layers: the lowest become one, and all of it is there', async () => {
  const { Template } = newSdk
  const logs = []
  await Template.build(Template().fromImage(`${host}/team/deep:1`, login).runCmd('true'), 'deep', { ...options, onBuildLogs: (entry) => logs.push(entry.message) })
  assert.ok(logs.some((line) => line.includes('the lowest 69 of 100 layers become one')), logs.join('\n'))
  assert.deepEqual(await inside(newSdk, 'deep', 'cat /srv/deep/last; echo; ls /srv/deep | wc -l; cat /srv/deep/99; echo; cat /srv/gone'), ['99', '2', '99', 'gone'])
})

async function rest(method, url, body) {
  const answer = await server.api(method, url, body)
  const text = await answer.text()
  return { status: answer.status, json: text ? JSON.parse(text) : null }
}

async function askToPush(name) {
  const made = (await rest('POST', '/v3/templates', { name })).json
  const build = `/templates/${made.templateID}/builds/${made.buildID}`
  const push = await rest('POST', `${build}/push`)
  assert.equal(push.status, 201)
  assert.equal((await rest('POST', `/v2${build}`, {})).status, 409)
  return { made, build, push }
}

async function buildPushed(build) {
  const steps = [{ type: 'USER', args: ['root'] }, { type: 'RUN', args: ['id -un >/srv/step'] }, { type: 'USER', args: ['user'] }]
  assert.equal((await rest('POST', `/v2${build}`, { steps })).status, 202)
  let status
  await until('the build to end', async () => ['ready', 'error'].includes((status = (await rest('GET', `${build}/status`)).json).status), 60000)
  assert.equal(status.status, 'ready', JSON.stringify(status))
}

// A daemon of the test's own: no bridge, no rules of a firewall, no data of another one.
async function startDocker() {
  const dir = mkdtempSync(path.join(place, 'docker-'))
  const env = { ...process.env, DOCKER_HOST: `unix://${dir}/socket`, DOCKER_CONFIG: path.join(dir, 'config') }
  const child = spawn('dockerd', ['--data-root', `${dir}/data`, '--exec-root', `${dir}/exec`, '--pidfile', `${dir}/pid`, '-H', env.DOCKER_HOST,
    '--storage-driver=vfs', '--iptables=false', '--ip6tables=false', '--ip-forward=false', '--bridge=none'], { env, stdio: ['ignore', 'ignore', openSync(`${dir}/log`, 'w')] })
  const ended = new Promise((resolve) => child.once('exit', resolve).once('error', resolve))
  const docker = (args, input) => spawnSync('docker', args, { env, input, encoding: 'utf8', maxBuffer: 64 << 20 })
  const stop = async () => {
    child.kill('SIGTERM') // it ends its containerd, too
    await ended
  }
  try {
    await until('dockerd to answer', () => child.exitCode !== null || docker(['info']).status === 0, 60000)
  } catch { /* told by its log */ }
  if (child.exitCode === null && docker(['info']).status === 0) return { docker, stop }
  await stop()
  return { why: `dockerd does not run here: ${readFileSync(`${dir}/log`, 'utf8').trim().split('\n').pop()}` }
}

test('docker push: an image of docker import, with docker login; wrong passwords and other tags are refused', async (t) => {
  for (const program of ['docker', 'dockerd']) if (spawnSync(program, ['--version']).error) return t.skip(`there is no ${program}`)
  const { docker, stop, why } = await startDocker()
  if (why) return t.skip(why)
  try {
    const { made, build, push } = await askToPush('by-docker')
    const { image: name, username, password, registry } = push.json
    const ok = (args, input) => {
      const r = docker(args, input)
      assert.equal(r.status, 0, `docker ${args.join(' ')}: ${r.stdout}${r.stderr}`)
      return r.stdout
    }
    ok(['import', '--change', 'ENV FROM_IMAGE=yes', '--change', 'EXPOSE 8080', '-', name], base)
    assert.match(docker(['push', name]).stderr, /no basic auth credentials|unauthorized|authentication required/i)
    assert.notEqual(docker(['login', '-u', username, '--password-stdin', registry], 'wrong').status, 0)
    ok(['login', '-u', username, '--password-stdin', registry], password)
    ok(['tag', name, name.replace(/:[^:/]+$/, ':latest')])
    assert.notEqual(docker(['push', name.replace(/:[^:/]+$/, ':latest')]).status, 0)
    assert.match(ok(['push', name]), /digest: sha256:[0-9a-f]{64}/)
    await buildPushed(build)
    assert.deepEqual(await inside(newSdk, 'by-docker', 'cat /srv/old; echo; echo $FROM_IMAGE; cat /srv/step'), ['old', 'yes', 'root'])
    assert.deepEqual((await rest('GET', `/templates/${made.templateID}`)).json.exposedPorts, ['8080/tcp'])
  } finally {
    await stop()
  }
})

test('CT-19: an image pushed by skopeo is what the build begins with; then nothing of the push is left', async () => {
  const { made, build, push } = await askToPush('pushed')
  execFileSync('skopeo', ['--insecure-policy', 'copy', '-q', '--dest-tls-verify=false', `--dest-creds=${push.json.username}:${push.json.password}`,
    `oci:${layout(images['team/app'])}`, `docker://${push.json.image}`])
  await buildPushed(build)
  assert.deepEqual(await inside(newSdk, 'pushed', look), seen)
  assert.equal(existsSync(path.join(server.dir, 'data/registry', made.buildID)), false)
  assert.equal(existsSync(path.join(server.dir, 'data/registry')), true)
})

function sandlot(...args) {
  const { status: code, stdout, stderr } = spawnSync(binary, [...args, `--data_dir=${server.dir}/data`, `--run_dir=${server.dir}/run`], { encoding: 'utf8' })
  return { code, stdout, stderr }
}

test('sandlot template build, show and delete: a directory with a Dockerfile over an imported image', async () => {
  assert.equal(sandlot('image', 'import', 'local:1', layout(images['team/app'])).code, 0)
  const dir = mkdtempSync(path.join(place, 'context-'))
  mkdirSync(path.join(dir, 'tree/deep'), { recursive: true })
  writeFileSync(path.join(dir, 'tree/deep/file'), 'sent\n')
  writeFileSync(path.join(dir, 'tree/secret.env'), 'not sent\n')
  writeFileSync(path.join(dir, '.dockerignore'), '# what stays here\n**/*.env\n')
  writeFileSync(path.join(dir, 'Dockerfile'), 'FROM local:1\nCOPY --chown=user tree /srv/tree/\nRUN id -un \\\n  >/srv/step\nENV DONE="by file"\n')
  const first = sandlot('template', 'build', 'by-cli', dir, '--cpu=1', '--memory=256')
  assert.equal(first.code, 0, first.stderr + first.stdout)
  assert.match(first.stdout, /\[base\] FROM local:1\n[^]*\[builder 3\/\d+\] COPY tree \/srv\/tree\/[^]*\nbuilt by-cli \([a-z0-9]+\) in [\d.]+ s\n$/)
  assert.deepEqual(await inside(newSdk, 'by-cli', 'cat /srv/tree/deep/file /srv/step; ls -A /srv/tree; stat -c %U /srv/tree/deep/file; echo "$DONE"; id -un; pwd'),
    ['sent', 'root', 'deep', 'user', 'by file', 'user', '/home/user'])
  const again = sandlot('template', 'build', 'by-cli', path.join(dir, 'Dockerfile'), '--json')
  assert.equal(JSON.parse(again.stdout).status, 'ready')
  const shown = sandlot('template', 'show', 'by-cli')
  assert.match(shown.stdout, /^id +[a-z0-9]+\nnames +\S*by-cli[^]*size +1 CPUs, 256 MB memory[^]*BUILD +STATUS +CREATED\n[0-9a-f-]{36} +ready/)
  assert.equal(JSON.parse(sandlot('template', 'show', 'by-cli', '--json').stdout).builds.length, 2)
  writeFileSync(path.join(dir, 'Dockerfile'), 'FROM local:1\nRUN echo out; exit 3\n')
  const failed = sandlot('template', 'build', 'by-cli', dir)
  assert.equal(failed.code, 1)
  assert.match(failed.stderr, /the build failed at step 3: .*exit/)
  for (const [args, code, why] of [
    [['build', 'x', '/nowhere'], 1, /'\/nowhere': No such file/], [['build', 'x', place], 1, /Dockerfile': No such file/],
    [['build', 'A B', dir], 1, /the server refused/], [['build', 'x', dir, '--cpu=many'], 1, /is not a number/],
    [['build'], 2, /needs an argument/], [['show', 'none'], 1, /not found/], [['delete', 'none'], 1, /not found/], [['show', 'a b'], 1, /is not the name/],
  ]) {
    const r = sandlot('template', ...args)
    assert.equal(r.code, code, args.join(' '))
    assert.match(r.stderr, why)
  }
  writeFileSync(path.join(dir, 'Dockerfile'), 'FROM local:1\nSHELL ["x"]\n')
  assert.match(sandlot('template', 'build', 'x', dir).stderr, /line 2: this is not supported here: 'SHELL'/)
  assert.equal(sandlot('template', 'delete', 'by-cli').code, 0)
  assert.equal(sandlot('template', 'show', 'by-cli').code, 1)
})

test('sandlot template export and import: all of a template in one file; a bad file changes nothing', async () => {
  const dir = mkdtempSync(path.join(place, 'export-'))
  const file = path.join(dir, 'file.tar')
  const ok = (...args) => {
    const r = sandlot(...args)
    assert.equal(r.code, 0, args.join(' ') + r.stdout + r.stderr)
    return r.stdout
  }
  const refused = (why, code, ...args) => {
    const r = sandlot(...args)
    assert.equal(r.code, code, args.join(' ') + r.stdout + r.stderr)
    assert.match(r.stderr, why)
  }
  ok('image', 'import', 'local:2', layout(images['team/app']))
  writeFileSync(path.join(dir, 'Dockerfile'), `FROM local:2
RUN echo app:x:1234:1234::/data:/bin/sh >>/etc/passwd && echo app:x:1234: >>/etc/group && mkdir -p /data/empty && echo kept >/data/one && ln -s one /data/link
RUN chmod 4711 /data/one && ln /data/one /data/two && chown app:app /data/empty && rm -rf /srv/old && dd if=/dev/zero of=/data/hole bs=1 count=1 seek=9000000
ENV SAID="it is \\"quoted\\" \u00e4"
EXPOSE 8080 53/udp
USER app
WORKDIR /data
CMD echo begun >/tmp/begun; exec sleep 98765
`)
  ok('template', 'build', 'source', dir, '--cpu=1', '--memory=256', '--ready=test -e /tmp/begun')
  const look = 'id -un; pwd; echo "$SAID"; ls -A /data /srv; stat -c "%a %U %h %s" one hole; stat -c "%a %U" empty; readlink link; cat two; test $(stat -c %b hole) -lt 64 && echo sparse; ' +
    'cat /tmp/begun; for p in /proc/[0-9]*; do [ "$(tr "\\0" " " <$p/cmdline)" != "sleep 98765 " ] || echo runs; done'
  const wanted = await inside(newSdk, 'source', look)
  assert.ok(wanted.includes('4711 root 2 5') && wanted.includes('it is "quoted" \u00e4'), wanted.join('\n'))
  assert.deepEqual(wanted.slice(-3), ['sparse', 'begun', 'runs'])
  const told = JSON.parse(ok('template', 'export', 'source', file, '--json'))
  assert.match(told.digest, /^sha256:[0-9a-f]{64}$/)
  assert.deepEqual([told.sizeBytes, readdirSync(dir).sort()], [statSync(file).size, ['Dockerfile', 'file.tar']])

  // What is wrong with a file is said, and the template that was there stays.
  const whole = readFileSync(file)
  const layers = () => readdirSync(path.join(server.dir, 'data/layers')).sort().join()
  const before = layers()
  const at = whole.indexOf('kept\n')
  assert.ok(at > 0)
  const bad = (name, data) => (writeFileSync(path.join(dir, name), data), path.join(dir, name))
  const changed = Buffer.from(whole)
  changed[at] ^= 1
  const labelled = Buffer.from(whole.toString('latin1').replace('sandlot.template', 'sandlot.templatX'), 'latin1')
  for (const [name, why] of [
    [bad('cut', whole.subarray(0, whole.length / 2)), /damaged|truncated/i], [bad('changed', changed), /not what the image's configuration says/],
    [bad('labelled', labelled), /digest/], [bad('text', 'this is no template\n'), /tar file|damaged|format/i], [bad('none', ''), /tar file/],
    [path.join(dir, 'nowhere'), /No such file/],
  ]) refused(why, 1, 'template', 'import', 'source', name)
  execFileSync('tar', ['-C', layout(images['team/app']), '-cf', path.join(dir, 'image.tar'), '.'])
  refused(/no exported template/, 1, 'template', 'import', 'source', path.join(dir, 'image.tar'))
  refused(/the server refused/, 1, 'template', 'import', 'A B', file)
  refused(/needs|argument/, 2, 'template', 'import', 'source')
  refused(/not found/, 1, 'template', 'export', 'none', path.join(dir, 'x'))
  refused(/No such file/, 1, 'template', 'export', 'source', path.join(dir, 'no/such'))
  refused(/"error":/, 1, 'template', 'import', 'source', path.join(dir, 'cut'), '--json')
  assert.equal(JSON.parse(ok('template', 'show', 'source', '--json')).builds.length, 1)
  assert.deepEqual(await inside(newSdk, 'source', look), wanted)
  assert.deepEqual([ok('image', 'list').includes('template-import'), layers()], [false, before])
  assert.deepEqual(readdirSync(path.join(server.dir, 'data/images/staging')), [])

  // On a machine that has nothing of it.
  ok('template', 'delete', 'source')
  ok('image', 'remove', 'local:2')
  assert.match(ok('template', 'import', 'target', file), /Template is ready[^]*\nimported target \([a-z0-9]+\)\n$/)
  assert.deepEqual(await inside(newSdk, 'target', look), wanted)
  const shown = JSON.parse(ok('template', 'show', 'target', '--json'))
  assert.deepEqual([shown.cpuCount, shown.memoryMB, shown.exposedPorts], [1, 256, ['8080/tcp', '53/udp']])
  assert.match(ok('template', 'show', 'target'), /ports +8080\/tcp, 53\/udp/)
  assert.equal(ok('image', 'list').includes('template-import'), false)
  const second = path.join(dir, 'second.tar')
  ok('template', 'export', 'target', second)
  assert.equal(JSON.parse(ok('template', 'import', 'target', second, '--json')).status, 'ready')
  assert.deepEqual(await inside(newSdk, 'target', look), wanted)
  ok('template', 'delete', 'target')
})
