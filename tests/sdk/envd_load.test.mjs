// Size and slowness: a GiB each way, 100,000 files in one listing, peers that never read or never
// finish writing. Memory of edge and envd stays flat and nobody else waits.
import test from 'node:test'
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { sleep, until } from './server.mjs'
import { envelope, generations, guestOf, headersFor, leavesNothing, rssKiB, serve, watchMemory } from './guest.mjs'

function addSmallTemplate(data) {
  const base = JSON.parse(readFileSync(path.join(data, 'templates/base.json'), 'utf8'))
  writeFileSync(path.join(data, 'templates/small-memory.json'), JSON.stringify({
    ...base, templateID: 'small-memory', aliases: ['small-memory'], names: ['small-memory'], memoryMB: 128,
  }))
}

const server = await serve([], addSmallTemplate)
const MIB = 1 << 20
const GROWTH_KIB = 16 << 10 // far below what any of these would need if it were kept

const first = randomBytes(MIB)
// A GiB of which every MiB is different and known.
function block(i) {
  first.writeUInt32BE(i, 0)
  first.writeUInt32BE(i, MIB - 4)
  return first
}

// Speaks HTTP by hand, to be as slow as it likes.
function connect(request, body = '') {
  return new Promise((resolve, reject) => {
    const s = net.connect(server.port, '127.0.0.1', () => {
      s.pause()
      s.write(request)
      s.write(body)
      resolve(s)
    })
    s.on('error', reject)
  })
}

function head(method, at, fields) {
  return `${method} ${at} HTTP/1.1\r\nHost: x\r\n${Object.entries(fields).map(([k, v]) => `${k}: ${v}\r\n`).join('')}\r\n`
}

async function slowStart(sandbox, cmd, args) {
  const message = envelope({ process: { cmd, args } })
  return connect(head('POST', '/process.Process/Start', headersFor(sandbox, { 'Content-Type': 'application/connect+json', 'Content-Length': message.length })), message)
}

const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1]

async function latency(sandbox) {
  const times = []
  for (let i = 0; i < 15; i++) {
    const began = performance.now()
    assert.equal((await sandbox.commands.run('echo here')).stdout, 'here\n')
    times.push(performance.now() - began)
  }
  return median(times)
}

for (const { name: generation, Sandbox } of generations) {
  const name = (what) => `${generation}: ${what}`
  let sandbox, roles

  test(name('create'), async () => {
    sandbox = await Sandbox.create('base', { timeoutMs: 600_000 })
    roles = { edge: server.rolePid('edge'), envd: await guestOf(server, sandbox) }
    await sandbox.files.write('warm', 'up')
  })

  test(name('1 GiB up and down as streams: whole, and memory stays flat'), async () => {
    const memory = watchMemory(roles)
    const began = performance.now()
    let sent = 0
    const up = new ReadableStream({ pull(c) { if (sent === 1024) c.close(); else c.enqueue(new Uint8Array(block(sent++))) } }, { highWaterMark: 1 })
    assert.equal((await sandbox.files.write('/tmp/large', up)).path, '/tmp/large')
    const uploaded = performance.now()
    assert.equal((await sandbox.files.getInfo('/tmp/large')).size, 1024 * MIB)
    let held = [], size = 0, got = 0
    for await (const piece of await sandbox.files.read('/tmp/large', { format: 'stream', requestTimeoutMs: 120_000 })) {
      held.push(piece)
      for (size += piece.length; size >= MIB; size -= MIB) {
        const all = Buffer.concat(held)
        assert.equal(Buffer.compare(all.subarray(0, MIB), block(got++)), 0)
        held = [all.subarray(MIB)]
      }
    }
    assert.deepEqual([got, size], [1024, 0])
    const grown = memory.stop()
    console.log(`# up ${Math.round(1024000 / (uploaded - began))} MiB/s, down ${Math.round(1024000 / (performance.now() - uploaded))} MiB/s, grown by KiB ${JSON.stringify(grown)}`)
    for (const [role, kib] of Object.entries(grown)) assert.ok(kib < GROWTH_KIB, `${role} grew by ${kib} KiB`)
    await sandbox.files.remove('/tmp/large')
  })

  test(name('100,000 files are listed'), async () => {
    await sandbox.commands.run(`python3 -c "
import os
for d in range(10):
    os.makedirs(f'/dev/shm/many/{d}')
    for i in range(10000): os.close(os.open(f'/dev/shm/many/{d}/file-{i:05}', os.O_CREAT | os.O_WRONLY))"`)
    const began = performance.now()
    const all = await sandbox.files.list('/dev/shm/many', { depth: 2, requestTimeoutMs: 60_000 })
    const took = performance.now() - began
    assert.equal(all.length, 100010)
    assert.deepEqual([all[0].path, all[1].path, all.at(-1).path], ['/dev/shm/many/0', '/dev/shm/many/0/file-00000', '/dev/shm/many/9/file-09999'])
    assert.equal(new Set(all.map((e) => e.path)).size, 100010)
    console.log(`# 100,010 entries in ${Math.round(took)} ms; envd has ${rssKiB(roles.envd)} KiB afterwards`)
    await sandbox.files.remove('/dev/shm/many')
    assert.equal(await sandbox.files.exists('/dev/shm/many'), false)
  })

  test(name('who listens and never reads delays nobody and costs no memory'), async () => {
    const alone = await latency(sandbox)
    const memory = watchMemory(roles)
    const slow = await Promise.all([1, 2, 3, 4].map(() => slowStart(sandbox, '/usr/bin/yes', ['x'.repeat(1000)])))
    await sleep(700)
    const beside = await latency(sandbox)
    const grown = memory.stop()
    console.log(`# a command takes ${alone.toFixed(1)} ms alone, ${beside.toFixed(1)} ms beside; grown by KiB ${JSON.stringify(grown)}`)
    for (const [role, kib] of Object.entries(grown)) assert.ok(kib < GROWTH_KIB, `${role} grew by ${kib} KiB`)
    assert.ok(beside < alone * 5 + 50, `${beside} ms beside, ${alone} ms alone`)
    for (const s of slow) s.destroy()
    await sandbox.commands.run('pkill -x yes')
  })

  test(name('a listener that never reads does not stop the others of the same command'), async () => {
    const size = 96 << 20 // more than all the buffers of sockets on the way
    const handle = await sandbox.commands.run(`read go; head -c ${size} /dev/zero | tr '\\0' x; echo end`, { background: true, stdin: true, timeoutMs: 60_000 })
    const message = envelope({ process: { pid: handle.pid } })
    const slow = await connect(head('POST', '/process.Process/Connect', headersFor(sandbox, { 'Content-Type': 'application/connect+json', 'Content-Length': message.length })), message)
    await sleep(100) // both listen
    const memory = watchMemory(roles)
    const began = performance.now()
    await handle.sendStdin('go\n')
    const { stdout } = await handle.wait()
    const took = performance.now() - began
    console.log(`# ${size / MIB} MiB in ${Math.round(took)} ms`)
    assert.ok(took < 10_000, `${took} ms`)
    assert.equal(stdout.length, size + 4)
    assert.ok(stdout.endsWith('xend\n'))
    for (const [role, kib] of Object.entries(memory.stop())) assert.ok(kib < GROWTH_KIB, `${role} grew by ${kib} KiB`)
    slow.destroy()
  })

  test(name('a download that is not read and an upload that does not end cost no memory and delay nobody'), async () => {
    await sandbox.commands.run('head -c 268435456 /dev/zero >/tmp/zeros')
    const alone = await latency(sandbox)
    const memory = watchMemory(roles)
    const slow = []
    for (let i = 0; i < 4; i++) {
      slow.push(await connect(head('GET', '/files?path=/tmp/zeros', headersFor(sandbox))))
      slow.push(await connect(head('POST', `/files?path=/tmp/slow-${i}`, headersFor(sandbox, { 'Content-Type': 'application/octet-stream', 'Content-Length': 268435456 })), Buffer.alloc(MIB)))
    }
    await sleep(300)
    const beside = await latency(sandbox)
    const grown = memory.stop()
    console.log(`# a command takes ${alone.toFixed(1)} ms alone, ${beside.toFixed(1)} ms beside; grown by KiB ${JSON.stringify(grown)}`)
    for (const [role, kib] of Object.entries(grown)) assert.ok(kib < GROWTH_KIB, `${role} grew by ${kib} KiB`)
    assert.ok(beside < alone * 3 + 30, `${beside} ms beside, ${alone} ms alone`)
    for (const s of slow) s.destroy()
    await until('what was not complete is gone', async () => (await sandbox.commands.run('ls /tmp | grep -c slow- || true')).stdout === '0\n')
  })

  test(name('who takes more memory than there is ends, is told why, and nobody else is harmed'), async () => {
    const small = await Sandbox.create('small-memory')
    const beside = await small.commands.run('read line; echo $line', { background: true, stdin: true })
    const greedy = 'python3 -c "x = bytearray(500 << 20)"'
    await assert.rejects(small.commands.run(`exec ${greedy}`), (e) => e.exitCode === -1 && /^signal: killed .*lack of memory/.test(e.error))
    assert.match((await small.commands.run(`${greedy}; echo $?`)).stdout, /^137\n$/)
    assert.equal((await small.commands.run('head -c 300000000 /dev/zero >/tmp/cached && wc -c </tmp/cached')).stdout, '300000000\n')
    await beside.sendStdin('unharmed\n')
    assert.equal((await beside.wait()).stdout, 'unharmed\n')
    assert.equal(await small.kill(), true)
  })

  test(name('kill'), async () => {
    assert.equal(await sandbox.kill(), true)
    await until('the guest is gone', () => Number.isNaN(rssKiB(roles.envd)))
  })
}

leavesNothing(server)
