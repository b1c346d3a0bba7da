// Metrics and logs as the official clients show them, on real sandboxes.
import test, { after } from 'node:test'
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { startServer, until } from './server.mjs'

const server = await startServer()
Object.assign(process.env, server.env)
after(() => server.stop())

const cli = path.resolve('node_modules/@e2b/cli/dist/index.js')
const home = path.join(server.dir, 'home')
mkdirSync(home)
const env = { PATH: `${path.dirname(process.execPath)}:${process.env.PATH}`, HOME: home, TZ: 'UTC', NO_COLOR: '1', TERM: 'xterm', ...server.env }

async function e2b(args, ms = 30000) {
  const child = spawn(process.execPath, [cli, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const timer = setTimeout(() => child.kill('SIGKILL'), ms)
  const out = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr']) child[name].setEncoding('utf8').on('data', (d) => (out[name] += d))
  out.code = await new Promise((resolve) => child.once('close', (code, signal) => resolve(code ?? signal)))
  clearTimeout(timer)
  return out
}

async function ok(args) {
  const r = await e2b(args)
  assert.equal(r.code, 0, `e2b ${args.join(' ')}: ${r.stdout}${r.stderr}`)
  return r.stdout
}

let sandbox

for (const generation of ['e2b-old', 'e2b-new']) {
  const { Sandbox, SandboxNotFoundError } = await import(generation)
  const name = (what) => `${generation}: ${what}`

  test(name('getMetrics shows what the sandbox uses, in the units of the client'), async () => {
    sandbox = await Sandbox.create('base')
    let points = []
    await sandbox.commands.run('head -c 30000000 /dev/zero > /tmp/fill; (timeout 12 sh -c "while :; do :; done") & sleep 0.1')
    await until('two points, the second busy', async () => (points = await sandbox.getMetrics()).length >= 2 && points.at(-1).cpuUsedPct > 5, 20000)
    for (const p of points) {
      assert.ok(p.timestamp instanceof Date && Math.abs(Date.now() - p.timestamp) < 60000)
      assert.deepEqual([p.cpuCount, p.memTotal], [2, 1024 * 1024 * 1024])
      assert.ok(p.cpuUsedPct >= 0 && p.cpuUsedPct <= 100, String(p.cpuUsedPct))
      assert.ok(p.memUsed > 0 && p.memUsed < p.memTotal && p.diskTotal > p.diskUsed)
    }
    assert.ok(points.at(-1).cpuUsedPct < 75, 'one loop is half of two processors')
    assert.ok(points.at(-1).diskUsed >= 30000000, String(points.at(-1).diskUsed))
    assert.deepEqual(await sandbox.getMetrics({ start: new Date(Date.now() + 60000) }), [])
    assert.equal((await sandbox.getMetrics({ end: points[0].timestamp })).length, 1)
  })

  test(name('getMetrics of one that is gone'), async () => {
    const gone = await Sandbox.create('base')
    await gone.kill()
    await assert.rejects(gone.getMetrics(), SandboxNotFoundError ?? /not found/i)
  })
}

test('sandbox metrics: pretty and json', async () => {
  assert.match(await ok(['sandbox', 'metrics', sandbox.sandboxId]), /CPU:.*% \/ +2 Cores.*Memory: +\d+ \/ 1024 +MiB.*Disk:/)
  const [first] = (await ok(['sandbox', 'metrics', sandbox.sandboxId, '--format', 'json'])).trim().split('\n').map((l) => JSON.parse(l))
  assert.equal(first.memTotal, 1024 * 1024 * 1024)
})

test('sandbox logs: pretty, json, level and loggers', async () => {
  assert.match(await ok(['sandbox', 'logs', sandbox.sandboxId]), /INFO.*Sandbox started/)
  const lines = (await ok(['sandbox', 'logs', sandbox.sandboxId, '--format', 'json'])).trim().split('\n').map((l) => JSON.parse(l))
  assert.deepEqual([lines[0].level, lines[0].logger, lines[0].message], ['info', 'lifecycle', 'Sandbox started'])
  assert.doesNotMatch(await ok(['sandbox', 'logs', sandbox.sandboxId, '--level', 'ERROR']), /started/)
  assert.doesNotMatch(await ok(['sandbox', 'logs', sandbox.sandboxId, '--loggers', 'process']), /started/)
})

test('sandbox logs --follow and metrics --follow end with the sandbox', async () => {
  const following = [e2b(['sandbox', 'logs', '--follow', sandbox.sandboxId]), e2b(['sandbox', 'metrics', '--follow', sandbox.sandboxId])]
  await new Promise((r) => setTimeout(r, 2500))
  await sandbox.kill()
  const [logs, metrics] = await Promise.all(following)
  assert.match(logs.stdout, /Sandbox started/)
  assert.match(logs.stdout, /Stopped printing logs/)
  assert.match(metrics.stdout + metrics.stderr, /Stopped printing metrics|not found/i)
  assert.match(await ok(['sandbox', 'logs', sandbox.sandboxId]), /Sandbox ended: request/, 'also after its end')
})
