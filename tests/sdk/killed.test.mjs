// A role is killed in the middle of a pause or a resume: the sandbox is there afterwards, whole, and can be paused again.
// CRIU is stood in for by a script that waits at named points and runs the real one.
import test, { after } from 'node:test'
import assert from 'node:assert/strict'
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { sleep, startServer, until } from './server.mjs'

const criu = ['/opt/sandlot/sbin/criu', '/usr/local/sbin/criu', '/usr/sbin/criu'].find(existsSync)
const skip = !criu && 'there is no criu'
const dir = mkdtempSync(path.join(os.tmpdir(), 'sandlot-killed-'))
writeFileSync(`${dir}/criu`, `#!/bin/bash
# A point is held while a file of its name is there; at-POINT tells that it was reached.
at() {
    [ -e "${dir}/$1" ] || return
    : >"${dir}/at-$1"
    while [ -e "${dir}/$1" ]; do sleep .02; done
}
at "$1-before"
[ "$1" = dump ] || exec ${criu} "$@"
${criu} "$@"
code=$?
at dump-after
exit $code
`, { mode: 0o755 })

// Memory comes later where it may: there is a second program to be killed beside, then.
const isLazy = !skip && existsSync(`${criu}.patches`) && existsSync('/dev/userfaultfd')
if (isLazy) copyFileSync(`${criu}.patches`, `${dir}/criu.patches`)

const server = skip ? undefined : await startServer([`--runtime.criu=${dir}/criu`, '--runtime.hot_resume_s=0', '--runtime.lazy_memory_mb=1', '--sandbox.timeout_max=86400'])
if (server) Object.assign(process.env, server.env)
after(async () => {
  await server?.stop()
  rmSync(dir, { recursive: true, force: true })
})
const { Sandbox } = skip ? {} : await import('e2b-new')

const call = (method, where, body) => server.api(method, where, body).then((a) => a.status, () => 0)
const state = (s) => Sandbox.getInfo(s.sandboxId).then((info) => info.state, () => undefined)
const connect = (s) => call('POST', `/v2/sandboxes/${s.sandboxId}/connect`, { timeout: 600 })
const pause = (s) => call('POST', `/sandboxes/${s.sandboxId}/pause`, {})
const run = async (s, line) => (await s.commands.run(line)).stdout.trim()

async function killRole(role) {
  const was = server.rolePid(role)
  process.kill(was, 'SIGKILL')
  await until(`${role} is back`, () => ![0, was].includes(server.rolePid(role)), 30_000)
}

// From whatever the kill left to one that runs: until then connect may say that something is under way.
async function awake(s) {
  let status
  await until('it can be connected to', async () => [200, 201].includes((status = await connect(s))), 60_000)
    .catch((e) => assert.fail(`${e.message}: ${status}, ${server.url}`))
  await until('it runs', async () => (await state(s)) === 'running', 30_000)
}

// No line is missing and none is there twice: it neither lost a moment nor lived one again.
async function goesOn(s) {
  const last = Number(await run(s, 'tail -n 1 /tmp/lines'))
  await until('it counts on', async () => Number(await run(s, 'tail -n 1 /tmp/lines')) > last, 30_000)
  assert.equal(await run(s, `awk '$1 != NR { bad = 1 } END { print bad ? "bad" : "good" }' /tmp/lines`), 'good')
}

for (const role of ['node', 'api'])
  for (const point of ['dump-before', 'dump-after', 'restore-before', 'lazy-pages-before'])
    test(`CL-22: ${role} killed at ${point}`, { skip: skip || (point.startsWith('lazy') && !isLazy && 'memory does not come later here') }, async (t) => {
      const s = await Sandbox.create('base', { timeoutMs: 600_000 })
      await s.commands.run('exec 3>>/tmp/lines; m=$(head -c 4000000 /dev/zero | tr "\\0" x); i=0; while :; do i=$((i+1)); echo $i >&3; sleep .02; done', { background: true })
      await until('it counts', async () => Number(await run(s, 'tail -n 1 /tmp/lines 2>/dev/null || true') || 0) > 3, 20_000)
      const isPause = point.startsWith('dump')
      if (!isPause) assert.equal(await pause(s), 204)

      writeFileSync(`${dir}/${point}`, '')
      const asked = isPause ? pause(s) : connect(s)
      await until('the point is reached', () => existsSync(`${dir}/at-${point}`), 30_000)
      await killRole(role)
      await sleep(300)
      rmSync(`${dir}/${point}`)
      rmSync(`${dir}/at-${point}`)
      t.diagnostic(`who asked got ${await asked}`)

      await awake(s)
      await goesOn(s)
      assert.equal(await pause(s), 204)
      assert.equal(await state(s), 'paused')
      await awake(s)
      await goesOn(s)
      assert.equal(await s.kill(), true)
    })
