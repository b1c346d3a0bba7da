// Sandboxes as a user of the official JavaScript SDK has them, timed from calling Sandbox.create(). Destroying is not counted.
//
//   node tti.mjs [--mode seq|burst|stag|create|exec|idle|reuse] [--n 100] [--template base] [--command true] [--gap 200] [--idle 60]
//                [--warm 5]
//
// seq, stag, burst: create to the end of the first command, one after the other, --gap ms apart, all at once. What is launched
// apart or at once stays until all are there, then runs the command once more. create: without a command. exec: the command in one
// sandbox, one at a time and five at once. idle: the first command after --idle seconds of nothing. reuse: what a sandbox tells of
// itself, to see whether another one had it before.
// Needs E2B_API_KEY, E2B_API_URL and E2B_SANDBOX_URL. Prints one JSON object with every sample, in ms.
import os from 'node:os'
import { parseArgs } from 'node:util'
import { createRequire } from 'node:module'

const { values: options } = parseArgs({
  options: {
    mode: { type: 'string', default: 'seq' }, n: { type: 'string', default: '100' },
    template: { type: 'string', default: 'base' }, command: { type: 'string', default: 'true' },
    gap: { type: 'string', default: '200' }, idle: { type: 'string', default: '60' }, warm: { type: 'string', default: '5' },
    sdk: { type: 'string', default: 'e2b-new' },
  },
})
const n = Number(options.n)
const { Sandbox } = await import(options.sdk)
const { version } = createRequire(import.meta.url)(`${options.sdk}/package.json`)
const samples = {}, failures = [], held = []
const sleep = (ms) => new Promise((done) => setTimeout(done, ms))
const create = () => Sandbox.create(options.template, { timeoutMs: 3600_000 })

function note(name, since) {
  const now = performance.now()
  ;(samples[name] ??= []).push(Math.round((now - since) * 1000) / 1000)
  return now
}

async function run(sandbox, name, command = options.command) {
  const start = performance.now()
  const { exitCode, stdout } = await sandbox.commands.run(command)
  if (exitCode !== 0) throw new Error(`exit code ${exitCode}`)
  if (name) note(name, start)
  return stdout
}

// A failure is counted, never a sample.
async function sample(work, ...rest) {
  try {
    return await work(...rest)
  } catch (e) {
    failures.push(`${e?.name}: ${e?.message}`)
  }
}

async function first(keeps) {
  const start = performance.now()
  const sandbox = await create()
  const created = performance.now()
  if (keeps) held.push(sandbox)
  try {
    await run(sandbox)
    note('total', start)
    note('exec', created)
    samples.create = [...(samples.create ?? []), Math.round((created - start) * 1000) / 1000]
  } finally {
    if (!keeps) {
      await sandbox.kill()
      if (samples.total) note('with_kill', start)
    }
  }
}

async function inTurns(list, width, work) {
  const left = [...list]
  await Promise.all(Array.from({ length: width }, async () => {
    for (let one; (one = left.pop()); ) await sample(work, one)
  }))
}

const modes = {
  async seq() {
    for (let i = 0; i < n; i++) await sample(first, false)
  },
  async together(gap) {
    const all = []
    const start = performance.now()
    for (let i = 0; i < n; i++) {
      all.push(sample(first, true))
      if (gap) await sleep(gap)
    }
    await Promise.all(all)
    note('wall', start)
    await inTurns(held, 16, run)
    await inTurns(held, 16, (sandbox) => sandbox.kill())
  },
  burst: () => modes.together(0),
  stag: () => modes.together(Number(options.gap)),
  async create() {
    for (let i = 0; i < n; i++) {
      await sample(async () => {
        const start = performance.now()
        const sandbox = await create()
        note('create', start)
        await sandbox.kill()
      })
    }
  },
  async exec() {
    const sandbox = await create()
    for (let i = 0; i < 5; i++) await run(sandbox)
    for (let i = 0; i < n; i++) await sample(run, sandbox, 'exec')
    for (let i = 0; i < n; i += 5) await Promise.all(Array.from({ length: 5 }, () => sample(run, sandbox, 'five')))
    await sandbox.kill()
  },
  async idle() {
    const all = []
    for (let i = 0; i < n; i++) all.push(await create())
    for (const sandbox of all) for (let i = 0; i < 3; i++) await run(sandbox)
    await sleep(Number(options.idle) * 1000)
    for (const sandbox of all) {
      await sample(run, sandbox, 'first')
      await sample(run, sandbox, 'warm')
    }
    for (const sandbox of all) await sandbox.kill()
  },
  // The identity probe that ComputeSDK's leaderboard had: a marker that survived, or three of six names that were seen before.
  async reuse() {
    const names = ['mnt', 'pid', 'uts', 'cgroup', 'boot_id', 'pid1']
    const probe = 'cat /tmp/marker /var/tmp/marker 2>/dev/null; for n in mnt pid uts; do readlink /proc/self/ns/$n; done; ' +
      "sha256sum </proc/self/cgroup; cat /proc/sys/kernel/random/boot_id; tr '\\0' ' ' </proc/1/cmdline; echo; " +
      'echo left | tee /tmp/marker >/var/tmp/marker'
    const seen = new Set(), repeated = new Set()
    let reused = 0
    for (let i = 0; i < n; i++) {
      await sample(async () => {
        const sandbox = await create()
        const told = (await run(sandbox, '', probe)).split('\n').slice(0, -1)
        const again = told.map((word, at) => `${names[at]}: ${word}`).filter((word) => seen.has(word))
        if (told.length !== names.length || again.length >= 3) reused++
        again.forEach((word) => repeated.add(word))
        told.forEach((word, at) => seen.add(`${names[at]}: ${word}`))
        await sandbox.kill()
      })
    }
    samples.reused = [reused]
    samples.repeated = [...repeated]
  },
}

for (let i = 0; i < Number(options.warm); i++) await sample(first, false)
for (const name of Object.keys(samples)) delete samples[name]
failures.length = 0
await modes[options.mode]()
console.log(JSON.stringify({
  bench: 'tti', mode: options.mode, n, command: options.command, template: options.template, sdk: version,
  node: process.version, cores: os.availableParallelism(), failed: failures.length, failures: failures.slice(0, 5), samples_ms: samples,
}))
