// What a hostile program tries from inside a sandbox, as root, and what it must not get.
import test, { after } from 'node:test'
import assert from 'node:assert/strict'
import { execSync } from 'node:child_process'
import { readFileSync, readdirSync, writeFileSync, mkdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { startServer, until, sleep } from './server.mjs'

// A second template over the same tree with small limits.
function addSmallTemplate(data) {
  const base = JSON.parse(readFileSync(path.join(data, 'templates/base.json'), 'utf8'))
  writeFileSync(path.join(data, 'templates/small.json'), JSON.stringify({
    ...base, templateID: 'small', aliases: ['small'], names: ['small'], cpuCount: 1, memoryMB: 256, diskSizeMB: 64,
  }))
}

const server = await startServer(['--sandbox.timeout_default=600'], addSmallTemplate)
Object.assign(process.env, server.env)
const { Sandbox } = await import('e2b-new')

const a = await Sandbox.create('base')
const b = await Sandbox.create('base')
after(async () => {
  await server.stop()
})
const root = (s, cmd, opts) => s.commands.run(cmd, { user: 'root', ...opts })
const fails = async (s, cmd) => {
  const r = await root(s, `${cmd} >/tmp/out 2>&1 && echo DONE || echo REFUSED; true`)
  assert.match(r.stdout, /REFUSED/, cmd)
}

test('processes of the host and of other sandboxes are invisible', async () => {
  await b.commands.run('sleep 4242', { background: true })
  const seen = (await root(a, 'ps -e -o pid=,args=')).stdout
  assert.ok(!seen.includes('4242') && !seen.includes('sandlot') && !seen.includes('systemd'), seen)
  assert.ok(seen.trim().split('\n').length < 8, seen)
  assert.equal((await root(a, 'cat /proc/1/comm')).stdout.trim(), 'envd')
})

test("one after the other: none has an earlier one's names, and PID 1 says whose it is (peers: reuse detector)", async () => {
  const names = ['uts', 'pid'], seen = { uts: new Set(), pid: new Set(), boot: new Set() }
  for (let i = 1; i <= 12; i++) {
    const s = await Sandbox.create('base')
    const told = (await root(s, `for n in ${names.join(' ')}; do readlink /proc/1/ns/$n; done; cat /proc/sys/kernel/random/boot_id;` +
      ' tr "\\0" " " </proc/1/cmdline; ls -A /tmp /var/tmp | grep -c marker; touch /tmp/marker /var/tmp/marker')).stdout.split('\n')
    for (const [at, set] of Object.values(seen).entries()) assert.equal(set.add(told[at]).size, i, `${told[at]} again`)
    assert.match(told[3], new RegExp(`^envd ${s.sandboxId} +0$`))
    await s.kill()
  }
})

test("another user inside does not get at the guest daemon's token, nor past it", async () => {
  const s = await Sandbox.create('base', { secure: true }), token = s.envdAccessToken
  assert.ok(token?.length >= 32)
  await root(s, 'echo of-root >/root/private && chmod 600 /root/private')
  const user = async (cmd) => { const r = await s.commands.run(`${cmd}; true`, { user: 'user' }); return r.stdout + r.stderr }
  const told = await user('cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline /proc/1/maps; env; ls -lR /proc/1/fd /proc/1/map_files;' +
    ' grep -rs . /run /tmp /etc /var/tmp --include=* -I')
  assert.ok(!told.includes(token), 'the token is told')
  for (const file of ['mem', 'environ', 'maps', 'auxv', 'stack', 'syscall'])
    assert.match(await user(`cat /proc/1/${file} >/dev/null && echo GOT`), /denied|not permitted/i, file)
  assert.match(await user("python3 -c 'import ctypes, os; l = ctypes.CDLL(None, use_errno=True);" +
    ' print(l.ptrace(16, 1, 0, 0), os.strerror(ctypes.get_errno()))\''), /-1 Operation not permitted/)
  const ask = (auth) => user(`curl -s -o /tmp/answer -w '%{http_code}' ${auth} 'http://127.0.0.1:49983/files?path=/root/private&username=root'`)
  assert.equal(await ask(''), '401')
  assert.equal(await ask(`-H 'X-Access-Token: ${'0'.repeat(token.length)}'`), '401')
  assert.equal(await ask(`-H 'X-Access-Token: ${token}'`), '200') // so it was asked the right way
  await s.kill()
})

test('files of the host and of other sandboxes are invisible', async () => {
  await b.files.write('/etc/secret-of-b', 'b')
  mkdirSync('/tmp/sandlot-host-secret', { recursive: true })
  try {
    await fails(a, 'ls /etc/secret-of-b')
    await fails(a, 'ls /tmp/sandlot-host-secret')
    await fails(a, `ls ${server.dir}`)
    const mounts = (await root(a, 'cat /proc/self/mountinfo')).stdout
    assert.ok(!mounts.includes(server.dir), mounts)
    assert.ok(mounts.trim().split('\n').length < 30, mounts)
  } finally {
    rmSync('/tmp/sandlot-host-secret', { recursive: true })
  }
})

test("the node's sockets and descriptors are not inside", async () => {
  const fds = (await root(a, 'ls -l /proc/1/fd /proc/self/fd')).stdout
  assert.ok(!/sandlot|\.sock/.test(fds), fds)
  const unix = (await root(a, 'cat /proc/net/unix')).stdout
  const others = unix.replace(/ @sandlot$/m, '') // the guest daemon's own, for the node after a resume
  assert.ok(!/sandlot|\.sock/.test(others), unix)
  const tcp = (await root(a, 'cat /proc/net/tcp')).stdout
  assert.ok(!tcp.toUpperCase().includes(`:${server.port.toString(16).toUpperCase().padStart(4, '0')} `), tcp)
})

test('cgroups of the host are invisible', async () => {
  assert.ok((await root(a, 'cat /proc/self/cgroup')).stdout.split('\n').filter(Boolean).every((l) => /:\/$/.test(l)))
  await fails(a, 'ls /sys/fs/cgroup/*/sandlot')
})

test('the network of the host is out of reach', async () => {
  await fails(a, `curl -s -m 3 http://127.0.0.1:${server.port}/health`)
  const links = (await root(a, 'ls /sys/class/net')).stdout.trim()
  assert.equal(links, 'lo')
  await fails(a, 'ip link add dummy0 type dummy')
})

test('each sandbox has its own ids, host name and boot of the world', async () => {
  const hostnames = await Promise.all([a, b].map(async (s) => (await root(s, 'hostname')).stdout.trim()))
  assert.notEqual(hostnames[0], hostnames[1])
  await fails(a, `kill -0 ${process.pid}`)
})

test('no sandbox can use up what others need of the kernel: inotify, queued signals', async () => {
  const hold = `python3 -c "
import ctypes, time
l = ctypes.CDLL(None)
n = 0
while l.inotify_init1(0) >= 0: n += 1
print(n, flush=True)
time.sleep(60)"`
  let seen = ''
  const holder = await a.commands.run(hold, { user: 'root', background: true, onStdout: (d) => { seen += d } })
  await until('all instances are taken', () => /\d+\n/.test(seen))
  assert.ok(Number(seen) > 0, seen)
  const events = []
  const watch = await b.files.watchDir('/tmp', (e) => events.push(e))
  await b.files.write('/tmp/watched', 'x')
  await until('an event comes', () => events.length > 0)
  await watch.stop()
  await holder.kill()
})

test('root inside is not root outside', async () => {
  await root(a, 'touch /tmp/owned-by-root; sleep 31337', { background: true })
  let pid
  await until('the process is seen from the host', () => (pid = execSync("pgrep -fx 'sleep 31337' || true", { encoding: 'utf8' }).trim()))
  const uids = readFileSync(`/proc/${pid}/status`, 'utf8').match(/Uid:\s+(\d+)/)[1]
  assert.ok(Number(uids) >= 65536, `host uid ${uids}`)
  const uidsOfB = (await root(b, 'cat /proc/self/uid_map')).stdout.trim().split(/\s+/)
  const uidsOfA = (await root(a, 'cat /proc/self/uid_map')).stdout.trim().split(/\s+/)
  assert.notEqual(uidsOfA[1], uidsOfB[1], 'each sandbox has its own uid range')
  assert.equal(uidsOfA[2], '65536')
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  assert.match(status, /Seccomp:\s+2/)
  assert.match(status, /CapBnd:\s+00000000a80425fb/)
})

for (const [what, command] of [
  ['mount', 'mount -t tmpfs none /mnt'],
  ['bind mount', 'mount --bind /etc /mnt'],
  ['umount', 'umount -l /proc'],
  ['unshare of a user namespace', 'unshare -U true'],
  ['unshare of a mount namespace', 'unshare -m true'],
  ['module loading', 'python3 -c "import ctypes,os; l=ctypes.CDLL(None,use_errno=True); r=l.syscall(175,0,0,b\'\'); raise SystemExit(r!=0)"'],
  ['bpf', 'python3 -c "import ctypes; l=ctypes.CDLL(None); raise SystemExit(l.syscall(321,0,0,0)<0)"'],
  ['perf_event_open', 'python3 -c "import ctypes; l=ctypes.CDLL(None); raise SystemExit(l.syscall(298,0,0,0,0,0)<0)"'],
  ['io_uring', 'python3 -c "import ctypes; l=ctypes.CDLL(None); b=ctypes.create_string_buffer(248); raise SystemExit(l.syscall(425,8,b)<0)"'],
  ['keyctl', 'python3 -c "import ctypes; l=ctypes.CDLL(None); raise SystemExit(l.syscall(250,0,-3,1)<0)"'],
  ['a vsock socket', 'python3 -c "import socket; socket.socket(40, socket.SOCK_STREAM)"'],
  ['the kernel\'s cipher sockets', 'python3 -c "import socket; socket.socket(38, socket.SOCK_SEQPACKET)"'],
  ['every terminal of the machine', 'python3 -c "import os; f=[os.open(\'/dev/ptmx\', os.O_RDWR) for i in range(300)]"'],
  ['reboot', 'python3 -c "import ctypes; l=ctypes.CDLL(None); raise SystemExit(l.syscall(169,0xfee1dead,672274793,0,0)<0)"'],
  ['setting the clock', 'date -s 2001-01-01'],
  ['a device node', 'mknod /tmp/sda b 8 0'],
  ['raw disk access', 'sh -c "ls /dev/vda /dev/sda /dev/mem /dev/kmem"'],
  ['kernel memory', 'head -c 1 /proc/kcore'],
  ['sysctl', 'sh -c "echo 1 > /proc/sys/kernel/panic"'],
  ['sysrq', 'sh -c "echo h > /proc/sysrq-trigger"'],
  ['kernel log', 'dmesg'],
  ['sysfs writes', 'sh -c "echo 1 > /sys/kernel/mm/ksm/run"'],
  ['chroot escape by open handle', 'python3 -c "import os; f=os.open(\'/proc/1/root/..\', os.O_RDONLY); os.fchdir(f); raise SystemExit(\'vda\' not in \' \'.join(os.listdir(\'/dev\')))"'],
  ['ptrace of pid 1 of the host', `python3 -c "import ctypes; l=ctypes.CDLL(None); raise SystemExit(l.ptrace(16,${process.pid},0,0)<0)"`],
]) {
  test(`refused: ${what}`, () => fails(a, command))
}

test('what agents need works: sudo, ptrace of own children, pip and npm start, ping of itself', async () => {
  assert.equal((await a.commands.run('sudo -n id -u')).stdout, '0\n')
  assert.equal((await a.commands.run('ping -c 1 -W 1 127.0.0.1 >/dev/null && echo ok')).stdout, 'ok\n')
  assert.equal((await a.commands.run('python3 -m venv --without-pip /tmp/v && /tmp/v/bin/python -c "print(5)"')).stdout, '5\n')
  assert.equal((await root(a, 'touch /tmp/x; setfattr -n user.test -v 1 /tmp/x 2>/dev/null || python3 -c "import os; os.setxattr(\'/tmp/x\', \'user.test\', b\'1\'); print(os.getxattr(\'/tmp/x\', \'user.test\'))"')).stdout, "b'1'\n")
  assert.equal((await root(a, 'useradd -m second && su second -c "id -un" && chown second /tmp/x && stat -c %U /tmp/x')).stdout, 'second\nsecond\n')
})

test('a fork bomb stops at the limit and the server stays well', async () => {
  const s = await Sandbox.create('small')
  await root(s, 'bash -c ":(){ :|:& };:" >/dev/null 2>&1; sleep 2', { timeoutMs: 15000 }).catch(() => {})
  const t = performance.now()
  assert.equal((await a.commands.run('echo well')).stdout, 'well\n')
  const other = await Sandbox.create('base')
  assert.ok(performance.now() - t < 5000)
  await other.kill()
  assert.equal(await s.kill(), true)
})

test('a 10 GiB allocation ends at the memory limit, the sandbox and the server stay', async () => {
  const s = await Sandbox.create('small')
  const r = await s.commands.run('python3 -c "b = bytearray(10 << 30); print(len(b))"; echo code $?; python3 -c "\nx=[]\nwhile True: x.append(bytearray(1<<20))" ; echo code $?', { timeoutMs: 60000 }).catch((e) => e)
  const text = r.stdout ?? ''
  assert.ok(!text.includes('10737418240'), text)
  assert.match(text, /code (137|1)/)
  assert.equal((await s.commands.run('echo still here')).stdout, 'still here\n')
  assert.equal((await a.commands.run('echo well')).stdout, 'well\n')
  await s.kill()
})

test('a full disk stops at the limit, one file or many, and the server stays', async () => {
  const s = await Sandbox.create('small')
  // The file's own limit stops it, or the look at the disk, which kills who writes most, comes between.
  await root(s, 'dd if=/dev/zero of=/big bs=1M count=512', { timeoutMs: 60000 }).catch((e) => assert.match(String(e), /exit|signal/))
  const one = await s.files.getInfo('/big')
  assert.ok(one.size <= 64 << 20, one.size)
  await root(s, 'rm -f /big')
  await root(s, 'for i in $(seq 1 2000); do head -c 4M /dev/zero > /many.$i || break; sleep 0.01; done', { timeoutMs: 40000 }).catch(() => {})
  const used = await root(s, 'du -sm --one-file-system / 2>/dev/null | cut -f1; cat /proc/1/comm').catch(() => null)
  const usage = execSync(`du -sm ${server.dir}/data/sandboxes | cut -f1`, { encoding: 'utf8' })
  assert.ok(Number(usage) < 4096, `all sandboxes together use ${usage} MB`)
  assert.equal((await a.commands.run('echo well')).stdout, 'well\n')
  await s.kill()
})

test('CPU is limited to what the template gives', async () => {
  const s = await Sandbox.create('small')
  const r = await s.commands.run('bash -c \'for i in 1 2 3; do timeout 2 sh -c "while :; do :; done" & done; wait; times\' | head -n 2 | tail -n 1', { timeoutMs: 20000 })
  const [user] = r.stdout.trim().split(' ')
  const seconds = Number(user.match(/m([\d.]+)s/)[1])
  assert.ok(seconds < 2.6, `3 loops of 2 s on 1 cpu used ${r.stdout}`)
  await s.kill()
})

test('every sandbox can be killed and nothing of them is left', async () => {
  await a.kill()
  await b.kill()
  assert.deepEqual(await Sandbox.list().nextItems(), [])
  const count = (dir) => readdirSync(path.join(server.dir, dir)).length
  // What is left are those launched ahead of need, without a record: at most runtime.warm_max.
  await until('directories are freed', () => count('run/sandboxes') === 0 && count('data/sandboxes') <= 8, 10000)
  assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(server.dir))
})
