// What the envd tests share: a server of their own, envd spoken to without a client library, and what
// can be seen of a guest from the host.
import test, { after } from 'node:test'
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { startServer } from './server.mjs'

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
  return Number(text(`/proc/${pid}/stat`).split(') ').at(-1).split(' ')[1] ?? 0)
}

const pids = () => names('/proc').filter((n) => /^\d+$/.test(n)).map(Number)

// Host pids of the first processes of this server's sandboxes, those that wait to be claimed too.
function guests(server) {
  const node = server.rolePid('node')
  return pids().filter((pid) => parentOf(pid) === node && text(`/proc/${pid}/comm`).trim() === 'envd')
}

// The host pid of a sandbox's envd: the parent of a process with a name of its own.
export async function guestOf(server, sandbox) {
  const mark = `6${Math.floor(Math.random() * 1e9)}`
  const marked = await start(server, sandbox, { process: { cmd: 'sleep', args: [mark] } })
  let pid // told of before it is executed
  for (let i = 0; i < 500 && pid === undefined; i++) {
    pid = pids().find((n) => text(`/proc/${n}/cmdline`) === `sleep\0${mark}\0`)
    if (pid === undefined) await new Promise((done) => setTimeout(done, 10))
  }
  const guest = parentOf(pid)
  assert.ok(guests(server).includes(guest), `${guest} is no guest`)
  await unary(server, sandbox, 'process.Process/SendSignal', { process: { pid: marked.pid }, signal: 'SIGNAL_SIGKILL' })
  await marked.done
  return guest
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

// The last test of a file: its sandboxes are killed by now, and with the server goes all of it.
export function leavesNothing(server) {
  test('nothing is left behind', async () => {
    const { dir } = server
    assert.deepEqual(await generations[1].Sandbox.list().nextItems(), [], 'a test has not killed its sandbox')
    const all = guests(server)
    const groups = new Set(all.flatMap((pid) => text(`/proc/${pid}/cgroup`).split('\n').filter((l) => l.includes('sandlot')).map((l) => l.slice(l.lastIndexOf(':') + 1))))
    await server.stop()
    for (const pid of pids().filter((n) => n !== process.pid)) assert.ok(!text(`/proc/${pid}/cmdline`).includes(dir), `${pid} is alive`)
    for (const pid of all) assert.notEqual(text(`/proc/${pid}/comm`).trim(), 'envd', `${pid} is alive`)
    assert.ok(!text('/proc/self/mountinfo').includes(dir))
    assert.equal(existsSync(dir), false)
    for (const mount of text('/proc/self/mountinfo').split('\n').filter((l) => / - cgroup2? /.test(l))) {
      for (const group of groups) assert.equal(existsSync(path.join(mount.split(' ')[4], group)), false, group)
    }
  })
}
