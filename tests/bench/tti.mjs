// Time to interactive, as a user of the official JavaScript SDK sees it: from calling Sandbox.create()
// to the first command having returned. Destroying is not counted; nothing is trimmed.
//
//   node tti.mjs [--mode seq|burst|stag] [--n 100] [--template base] [--command true] [--gap 200] [--warm 5]
//
// Needs E2B_API_KEY, E2B_API_URL and E2B_SANDBOX_URL. Prints one JSON object.
import os from 'node:os'
import { parseArgs } from 'node:util'
import { createRequire } from 'node:module'

const { values: options } = parseArgs({
  options: {
    mode: { type: 'string', default: 'seq' }, n: { type: 'string', default: '100' },
    template: { type: 'string', default: 'base' }, command: { type: 'string', default: 'true' },
    gap: { type: 'string', default: '200' }, warm: { type: 'string', default: '5' },
    sdk: { type: 'string', default: 'e2b-new' },
  },
})
const n = Number(options.n)
const { Sandbox } = await import(options.sdk)
const { version } = createRequire(import.meta.url)(`${options.sdk}/package.json`)
const failures = []

async function sample(i) {
  let sandbox
  const start = performance.now()
  try {
    sandbox = await Sandbox.create(options.template, { timeoutMs: 120_000 })
    const created = performance.now()
    const { exitCode } = await sandbox.commands.run(options.command)
    const done = performance.now()
    if (exitCode !== 0) throw new Error(`exit code ${exitCode}`)
    return { create: created - start, exec: done - created, total: done - start }
  } catch (e) {
    failures.push(`${i}: ${e?.name}: ${e?.message}`)
    return null
  } finally {
    await sandbox?.kill().catch(() => {})
  }
}

async function collect() {
  const samples = []
  if (options.mode === 'seq') {
    for (let i = 0; i < n; i++) samples.push(await sample(i))
    return samples
  }
  for (let i = 0; i < n; i++) {
    samples.push(sample(i))
    if (options.mode === 'stag') await new Promise((r) => setTimeout(r, Number(options.gap)))
  }
  return Promise.all(samples)
}

for (let i = 0; i < Number(options.warm); i++) await sample(-1 - i)
failures.length = 0
const started = performance.now()
const good = (await collect()).filter(Boolean)
const wall = performance.now() - started

function spread(key) {
  const v = good.map((s) => s[key]).sort((a, b) => a - b)
  const at = (p) => Math.round(v[Math.max(0, Math.ceil(p * v.length) - 1)] * 100) / 100
  return v.length ? { min: at(0), p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) } : null
}
console.log(JSON.stringify({
  bench: 'tti', mode: options.mode, n, command: options.command, template: options.template, sdk: version,
  node: process.version, cores: os.availableParallelism(), ok: good.length, failures: failures.slice(0, 5),
  wall_ms: Math.round(wall), total_ms: spread('total'), create_ms: spread('create'), exec_ms: spread('exec'),
}))
process.exit(failures.length ? 1 : 0)
