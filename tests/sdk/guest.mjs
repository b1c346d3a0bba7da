// What the envd tests share: a server of their own, envd spoken to without a client library, and what
// can be seen of a guest from the host.
import test, { after } from 'node:test'
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { startServer, until } from './server.mjs'

export const generations = await Promise.all(['e2b-old', 'e2b-new'].map(async (name) => ({ name, ...(await import(name)) })))

const ENVD_PORT = '49983'
const names = (dir) => { try { return readdirSync(dir) } catch { return [] } }
const text = (file) => { try { return readFileSync(file, 'utf8') } catch { return '' } }

// A server for one file of tests. Call leavesNothing() with it after the last test.
export async function serve(flags = [], prepare = () => {}) {
  const server = await startServer(flags, prepare)
  Object.assign(process.env, server.env)
  after(() => server.stop())
  return server
}

function parentOf(pid) {
  return Number(text(`/proc/${pid}/stat`).split(') ').at(-1).split(' ')[1])
}

// Host pids of the first processes of this server's sandboxes.
export function guests(server) {
  const node = server.rolePid('node')
  return names('/proc').filter((n) => /^\d+$/.test(n) && parentOf(n) === node && text(`/proc/${n}/comm`).trim() === 'envd').map(Number)
}

export function rssKiB(pid) {
  return Number(text(`/proc/${pid}/status`).match(/VmRSS:\s+(\d+)/)?.[1] ?? NaN)
}

// Watches the memory of processes until stop(), which tells by how many KiB each grew at most.
export function watchMemory(pids) {
  const first = Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, rssKiB(pid)]))
  const most = { ...first }
  const look = () => {
    for (const [name, pid] of Object.entries(pids)) most[name] = Math.max(most[name], rssKiB(pid))
  }
  const timer = setInterval(look, 20)
  return {
    stop() {
      clearInterval(timer)
      look()
      return Object.fromEntries(Object.keys(pids).map((name) => [name, most[name] - first[name]]))
    },
  }
}

export function headersFor(sandbox, extra = {}) {
  const token = sandbox.envdAccessToken
  return { 'E2b-Sandbox-Id': sandbox.sandboxId, 'E2b-Sandbox-Port': ENVD_PORT, ...(token ? { 'X-Access-Token': token } : {}), ...extra }
}

export function basic(user) {
  return user === undefined ? {} : { Authorization: 'Basic ' + Buffer.from(`${user}:`).toString('base64') }
}

export function envelope(message) {
  const payload = Buffer.from(JSON.stringify(message))
  const head = Buffer.alloc(5)
  head.writeUInt32BE(payload.length, 1)
  return Buffer.concat([head, payload])
}

export async function unary(server, sandbox, method, message, user) {
  const r = await fetch(`${server.url}/${method}`, {
    method: 'POST', headers: headersFor(sandbox, { 'Content-Type': 'application/json', ...basic(user) }), body: JSON.stringify(message),
  })
  return { status: r.status, body: await r.json() }
}

// Start any program, as clients other than the SDKs may: no shell, no bash. Resolves when it has
// begun; `done` resolves to the end event with what was printed, or rejects with the stream's error.
export async function start(server, sandbox, request, { user } = {}) {
  const r = await fetch(`${server.url}/process.Process/Start`, {
    method: 'POST', headers: headersFor(sandbox, { 'Content-Type': 'application/connect+json', ...basic(user) }), body: envelope(request),
  })
  assert.equal(r.status, 200)
  const seen = { stdout: [], stderr: [], pty: [] }
  const all = (kind) => Buffer.concat(seen[kind])
  let begun
  const pid = new Promise((resolve) => (begun = resolve))
  const done = (async () => {
    let held = Buffer.alloc(0), end
    for await (const piece of r.body) {
      held = Buffer.concat([held, piece])
      while (held.length >= 5 && held.length >= 5 + held.readUInt32BE(1)) {
        const size = held.readUInt32BE(1), message = JSON.parse(held.subarray(5, 5 + size))
        const last = held[0] === 2
        held = held.subarray(5 + size)
        if (last && message.error) throw Object.assign(new Error(message.error.message), { code: message.error.code })
        if (last) return { exitCode: 0, ...end, stdout: all('stdout'), stderr: all('stderr'), pty: all('pty') }
        if (message.event.start) begun(message.event.start.pid)
        for (const [kind, data] of Object.entries(message.event.data ?? {})) seen[kind].push(Buffer.from(data, 'base64'))
        end = message.event.end ?? end
      }
    }
    throw new Error('the stream ended without its last envelope')
  })()
  done.catch(() => begun(0))
  return { pid: await pid, done, text: (kind) => all(kind).toString() }
}

export async function execute(server, sandbox, cmd, args = [], { user, ...rest } = {}) {
  const started = await start(server, sandbox, { process: { cmd, args, ...rest }, stdin: false }, { user })
  const end = await started.done
  return { ...end, stdout: end.stdout.toString(), stderr: end.stderr.toString() }
}

// The last test of a file: its sandboxes are killed by now, and nothing of them is on the host.
export function leavesNothing(server) {
  test('nothing is left behind', async () => {
    const groups = new Set()
    const sandbox = await generations[1].Sandbox.create(server.anyTemplate ?? 'base')
    assert.equal(guests(server).length, 1, 'a test has not killed its sandbox')
    for (const line of text(`/proc/${guests(server)[0]}/cgroup`).split('\n')) {
      if (line.includes('sandlot')) groups.add(line.slice(line.lastIndexOf(':') + 1))
    }
    await sandbox.kill()
    const files = () => [...names(`${server.dir}/data/sandboxes`), ...names(`${server.dir}/run/sandboxes`)].filter((n) => n.startsWith('i'))
    await until('the guests are gone', () => guests(server).length === 0)
    await until('their files are gone', () => files().length === 0, 20000)
    await server.stop()
    const { dir } = server
    const alive = names('/proc').filter((n) => /^\d+$/.test(n) && n !== String(process.pid) && text(`/proc/${n}/cmdline`).includes(dir))
    assert.deepEqual(alive, [])
    assert.ok(!text('/proc/self/mountinfo').includes(dir))
    assert.equal(existsSync(dir), false)
    for (const mount of text('/proc/self/mountinfo').split('\n').filter((l) => / - cgroup2? /.test(l))) {
      for (const group of groups) assert.equal(existsSync(path.join(mount.split(' ')[4], group)), false, group)
    }
  })
}
