// Sandboxes of container images, with the published clients of both generations: pulled from a registry of the test's own,
// pushed by skopeo, and one of a hundred layers (CT-11, CT-13, CT-17 to CT-22). The image is busybox alone.
import test from 'node:test'
import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
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
  const answer = await fetch(server.url + url, {
    method, headers: { 'X-API-Key': server.key, 'Content-Type': 'application/json' }, body: body && JSON.stringify(body),
  })
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
    '--storage-driver=vfs', '--iptables=false', '--ip6tables=false', '--bridge=none'], { env, stdio: ['ignore', 'ignore', openSync(`${dir}/log`, 'w')] })
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

test('sandlot template build, show and delete: a directory with a Dockerfile over an imported image', async () => {
  const flags = [`--data_dir=${server.dir}/data`, `--run_dir=${server.dir}/run`]
  const sandlot = (...args) => {
    const { status: code, stdout, stderr } = spawnSync(binary, [...args, ...flags], { encoding: 'utf8' })
    return { code, stdout, stderr }
  }
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
