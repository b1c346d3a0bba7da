// A thousand sandboxes made and killed leave nothing: processes, mounts, cgroups, network namespaces,
// descriptors and files are as before.
import test, { after } from 'node:test'
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import path from 'node:path'
import { startServer, sleep, until } from './server.mjs'

// Few events are kept, so that their log is full before anything is measured.
const server = await startServer(['--events.max=200'])
after(() => server.stop())
const headers = { 'X-API-Key': server.key, 'Content-Type': 'application/json' }

async function cycle() {
  const made = await fetch(`${server.url}/v2/sandboxes`, { method: 'POST', headers, body: '{"templateID":"base","timeout":60}' })
  assert.equal(made.status, 201, await made.clone().text())
  const { sandboxID } = await made.json()
  const killed = await fetch(`${server.url}/sandboxes/${sandboxID}`, { method: 'DELETE', headers })
  assert.equal(killed.status, 204)
}

async function cycles(count, atOnce) {
  let left = count
  await Promise.all(Array.from({ length: atOnce }, async () => {
    while (left-- > 0) await cycle()
  }))
}

const names = (dir) => { try { return readdirSync(dir) } catch { return [] } }
const pids = () => names('/proc').filter((n) => /^\d+$/.test(n))

function parentOf(pid) {
  try { return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')[1]) } catch { return 0 }
}

function countCgroups(dir, depth = 0) {
  if (depth > 6) return 0
  return names(dir).reduce((sum, name) => {
    const at = path.join(dir, name)
    try {
      if (!statSync(at).isDirectory()) return sum
    } catch { return sum }
    return sum + (at.includes('sandlot') ? 1 : 0) + countCgroups(at, depth + 1)
  }, 0)
}

// What could leak, as numbers. Only what belongs to this server is counted where that can be told.
function state() {
  const roles = ['api', 'edge', 'node']
  const netns = new Set()
  for (const pid of pids()) try { netns.add(readlinkSync(`/proc/${pid}/ns/net`)) } catch {}
  const fds = Object.fromEntries(roles.map((r) => [r, names(`/proc/${server.rolePid(r)}/fd`).length]))
  return {
    guests: pids().filter((pid) => parentOf(pid) === server.rolePid('node')).length,
    mounts: readFileSync('/proc/self/mountinfo', 'utf8').split('\n').length,
    nodeMounts: readFileSync(`/proc/${server.rolePid('node')}/mountinfo`, 'utf8').split('\n').length,
    cgroups: countCgroups('/sys/fs/cgroup'),
    netns: netns.size,
    files: names(`${server.dir}/data/sandboxes`).length + names(`${server.dir}/run/sandboxes`).length,
    ...fds,
  }
}

// The pool of prepared cells fills by itself; wait until two looks agree.
async function settled() {
  let last = ''
  for (let i = 0; i < 100; i++) {
    await sleep(200)
    const now = JSON.stringify(state())
    if (now === last) return JSON.parse(now)
    last = now
  }
  throw new Error(`does not settle: ${last}`)
}

test('1000 sandboxes leave nothing behind', { timeout: 240_000 }, async () => {
  await cycles(160, 4) // node keeps two descriptors of each of the last 128
  const before = await settled()
  await cycles(1000, 4)
  // Keep-alive connections come and go; anything per sandbox would be a thousand.
  const slack = (what) => (['api', 'edge', 'node'].includes(what) ? 40 : 0)
  const grown = (now) => Object.keys(before).filter((what) => now[what] > before[what] + slack(what))
  // What nobody waits for is freed behind the answers, later on a busy machine.
  await until('all is freed', () => grown(state()).length === 0, 30000).catch(() => {})
  const now = await settled()
  console.log(`# before ${JSON.stringify(before)}`)
  console.log(`# after  ${JSON.stringify(now)}`)
  for (const what of grown(now)) assert.fail(`${what}: ${before[what]} before, ${now[what]} after`)
})

test('memory of the roles stays flat over 1000 more', { timeout: 240_000 }, async () => {
  const rss = () => Object.fromEntries(['api', 'edge', 'node'].map((r) =>
    [r, Number(readFileSync(`/proc/${server.rolePid(r)}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)[1])]))
  const before = rss()
  await cycles(1000, 4)
  const now = rss()
  console.log(`# KiB before ${JSON.stringify(before)} after ${JSON.stringify(now)}`)
  for (const role of Object.keys(before)) assert.ok(now[role] <= before[role] + 2048, `${role} grew from ${before[role]} to ${now[role]} KiB`)
})
