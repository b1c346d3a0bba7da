// Commands as the SDKs run them: variables, directories, users, output, input, signals, deadlines.
// wire.md 3.3 to 3.5.
import test from 'node:test'
import assert from 'node:assert/strict'
import { sleep, until } from './server.mjs'
import { envelope, generations, headersFor, leavesNothing, serve, start } from './guest.mjs'

const server = await serve()
// Without HTTP/2 the clients open 200 connections at most, and wait: as many streams as that leave none.
process.env.E2B_ENVD_RPC_CONNECTIONS = '300'

for (const { name: generation, Sandbox, AuthenticationError, CommandExitError, InvalidArgumentError, NotFoundError, TimeoutError } of generations) {
  const name = (what) => `${generation}: ${what}`
  const hasPid = async (pid) => (await sandbox.commands.list()).some((p) => p.pid === pid)
  const running = async (pattern) => (await sandbox.commands.run(`pgrep -fx '${pattern}' | wc -l`)).stdout.trim()
  let sandbox

  test(name('create'), async () => {
    sandbox = await Sandbox.create('base', { envs: { FROM_SANDBOX: 'sandbox', BOTH: 'sandbox' } })
  })

  test(name("variables: the request's beat the sandbox's, the sandbox's own cannot be changed"), async () => {
    const odd = { SPACE: ' a  b ', QUOTES: `'"\`$HOME`, LINES: 'one\ntwo', WIDE: 'žluťoučký 🐎', EMPTY: '' }
    const r = await sandbox.commands.run('env -0 | base64 -w0', { envs: { BOTH: 'request', E2B_SANDBOX_ID: 'mine', ...odd } })
    const seen = Object.fromEntries(Buffer.from(r.stdout, 'base64').toString().split('\0').filter(Boolean).map((line) => {
      const at = line.indexOf('=')
      return [line.slice(0, at), line.slice(at + 1)]
    }))
    const wanted = { ...odd, FROM_SANDBOX: 'sandbox', BOTH: 'request', E2B_SANDBOX: 'true', E2B_SANDBOX_ID: sandbox.sandboxId, HOME: '/home/user', USER: 'user', LOGNAME: 'user' }
    assert.deepEqual(Object.fromEntries(Object.keys(wanted).map((key) => [key, seen[key]])), wanted)
    assert.match(seen.PATH, /\/usr\/bin/)
  })

  test(name('cwd: home, relative to home, ~, absolute; a missing one is told'), async () => {
    await sandbox.commands.run('mkdir -p "$HOME/a dir/b"; touch file')
    const pwd = async (cwd, user) => (await sandbox.commands.run('pwd', { cwd, user })).stdout.trim()
    assert.equal(await pwd(undefined), '/home/user')
    assert.equal(await pwd('a dir/b'), '/home/user/a dir/b')
    assert.equal(await pwd('~'), '/home/user')
    assert.equal(await pwd('~/a dir'), '/home/user/a dir')
    assert.equal(await pwd('/usr/lib'), '/usr/lib')
    assert.equal(await pwd('~', 'root'), '/root')
    await assert.rejects(pwd('/no/such/place'), (e) => e instanceof InvalidArgumentError && /cwd '\/no\/such\/place' does not exist/.test(e.message))
    await assert.rejects(pwd('file'), (e) => e instanceof InvalidArgumentError && /not a directory/.test(e.message))
  })

  test(name('user: ids, groups and home are those of /etc/passwd and /etc/group'), async () => {
    const who = async (user) => (await sandbox.commands.run('id -un; id -u; id -gn; echo $HOME; stat -c %U /proc/self/', { user })).stdout.trim().split('\n')
    assert.deepEqual(await who(), ['user', '1000', 'user', '/home/user', 'user'])
    assert.deepEqual(await who('root'), ['root', '0', 'root', '/root', 'root'])
    assert.deepEqual((await sandbox.commands.run('id -Gn')).stdout.trim().split(' ').sort(), ['sudo', 'user', 'users'])
    await sandbox.commands.run('useradd --create-home --shell /bin/sh --groups users second', { user: 'root' })
    assert.deepEqual((await sandbox.commands.run('id -un; id -Gn; pwd', { user: 'second', cwd: '~' })).stdout, 'second\nsecond users\n/home/second\n')
    await assert.rejects(sandbox.commands.run('true', { user: 'nobody-such' }), (e) => e instanceof AuthenticationError && /invalid username: 'nobody-such'/.test(e.message))
  })

  test(name('exit codes and signals'), async () => {
    for (const code of [1, 2, 126, 255]) {
      await assert.rejects(sandbox.commands.run(`echo out; echo err >&2; exit ${code}`),
        (e) => e instanceof CommandExitError && e.exitCode === code && e.stdout === 'out\n' && e.stderr === 'err\n' && e.error === `exit status ${code}`)
    }
    for (const [signal, error] of [['KILL', 'signal: killed'], ['TERM', 'signal: terminated'], ['SEGV', 'signal: segmentation fault']]) {
      await assert.rejects(sandbox.commands.run(`kill -${signal} $$`), (e) => e instanceof CommandExitError && e.exitCode === -1 && e.error === error)
    }
    await assert.rejects(sandbox.commands.run('no-such-program'), (e) => e.exitCode === 127 && /no-such-program/.test(e.stderr))
  })

  test(name('a command as long as the kernel takes runs; a longer one, or one that cannot be, is told'), async () => {
    assert.equal((await sandbox.commands.run(`echo ${'x'.repeat(100_000)}`)).stdout.length, 100_001)
    assert.equal((await sandbox.commands.run('echo ${#LONG}', { envs: { LONG: 'x'.repeat(100_000) } })).stdout, '100000\n')
    await assert.rejects(sandbox.commands.run(`echo ${'x'.repeat(200_000)}`), (e) => e.exitCode === 126 && /Argument list too long/.test(e.stderr))
    await assert.rejects(sandbox.commands.run(`echo ${'x'.repeat(5_000_000)}`), /larger than 4194304 bytes/)
    await assert.rejects(sandbox.commands.run('echo a\0b'), InvalidArgumentError)
    await assert.rejects(sandbox.commands.run('true', { envs: { 'A=B': 'x' } }), InvalidArgumentError)
  })

  test(name('envd itself cannot be signalled, by nobody inside'), async () => {
    assert.equal((await sandbox.commands.run('for s in TERM INT HUP USR1 SEGV KILL STOP; do kill -$s 1; done; sleep 0.1; echo alive', { user: 'root' })).stdout, 'alive\n')
    assert.deepEqual([await sandbox.commands.kill(1), await sandbox.commands.kill(0)], [false, false])
  })

  test(name('onStdout and onStderr are called while it runs'), async () => {
    const out = [], err = []
    const began = Date.now()
    const r = await sandbox.commands.run('echo one; sleep 0.3; echo two; echo three >&2', {
      onStdout: (d) => { out.push([d, Date.now() - began]) }, onStderr: (d) => { err.push(d) },
    })
    assert.deepEqual(out.map(([d]) => d), ['one\n', 'two\n'])
    assert.ok(out[1][1] - out[0][1] >= 250, `${out[1][1] - out[0][1]} ms apart`)
    assert.deepEqual(err, ['three\n'])
    assert.deepEqual([r.stdout, r.stderr], ['one\ntwo\n', 'three\n'])
  })

  test(name('16 MiB on stdout and 4 MiB on stderr at once arrive whole'), async () => {
    const r = await sandbox.commands.run("(head -c 4194304 /dev/zero | tr '\\0' e >&2) & head -c 16777216 /dev/zero | tr '\\0' o; wait")
    assert.equal(r.stdout.length, 16777216)
    assert.equal(r.stderr.length, 4194304)
    assert.ok(/^o+$/.test(r.stdout) && /^e+$/.test(r.stderr))
  })

  test(name('UTF-8 that is cut anywhere arrives whole; bytes that are none are replaced, not lost'), async () => {
    const slowly = [...Buffer.from('€𝄞ž')].map((b) => `printf '\\x${b.toString(16)}'; sleep 0.02`).join('; ')
    let seen = ''
    const r = await sandbox.commands.run(slowly, { onStdout: (d) => { seen += d } })
    assert.deepEqual([r.stdout, seen], ['€𝄞ž', '€𝄞ž'])
    assert.equal((await sandbox.commands.run("printf 'a\\xff\\xfeb\\n'")).stdout, 'a\ufffd\ufffdb\n')
    assert.equal((await sandbox.commands.run("printf 'a\\0b'")).stdout, 'a\0b')
    assert.equal((await sandbox.commands.run("python3 -c \"print('𝄞' * 300000, end='')\"")).stdout, '𝄞'.repeat(300000))
  })

  test(name('bytes of every value pass as they are'), async () => {
    const started = await start(server, sandbox, { process: { cmd: 'sh', args: ['-c', 'head -c 3000000 /dev/urandom | tee /tmp/random'] }, stdin: false })
    const { stdout, exitCode } = await started.done
    assert.equal(exitCode, 0)
    assert.equal(Buffer.compare(stdout, Buffer.from(await sandbox.files.read('/tmp/random', { format: 'bytes' }))), 0)
  })

  test(name('stdin: text, bytes, order, end'), async () => {
    const cat = await sandbox.commands.run('cat', { background: true, stdin: true })
    await cat.sendStdin('žlutý\n')
    await sandbox.commands.sendStdin(cat.pid, new Uint8Array([0x41, 0, 0x42, 10]))
    for (let i = 0; i < 100; i++) await cat.sendStdin(`${i}\n`)
    await cat.closeStdin()
    await sandbox.commands.closeStdin(cat.pid).catch((e) => assert.ok(e instanceof NotFoundError)) // unless it has ended by now
    assert.equal((await cat.wait()).stdout, 'žlutý\nA\0B\n' + Array.from({ length: 100 }, (_, i) => `${i}\n`).join(''))
    await assert.rejects(sandbox.commands.sendStdin(cat.pid, 'late'), NotFoundError)
  })

  test(name('stdin: more than the pipe holds waits for a slow reader'), async () => {
    const slow = await sandbox.commands.run('sleep 0.3; wc -c', { background: true, stdin: true })
    await slow.sendStdin('x'.repeat(1 << 20))
    await slow.sendStdin('y'.repeat(1 << 20))
    await slow.closeStdin()
    assert.equal((await slow.wait()).stdout.trim(), String(2 << 20))
  })

  test(name('stdin: without it a read ends at once; closed it takes no more'), async () => {
    await assert.rejects(sandbox.commands.run('read line'), (e) => e.exitCode === 1)
    const idle = await sandbox.commands.run('exec 0<&-; sleep 30', { background: true, stdin: true })
    await idle.closeStdin()
    await idle.closeStdin()
    await assert.rejects(idle.sendStdin('late'), /closed/)
    const none = await sandbox.commands.run('sleep 30', { background: true })
    await assert.rejects(sandbox.commands.sendStdin(none.pid, 'x'), /not enabled/)
    assert.deepEqual([await idle.kill(), await none.kill()], [true, true])
    await Promise.allSettled([idle.wait(), none.wait()])
    await assert.rejects(sandbox.commands.sendStdin(4000000, 'x'), NotFoundError)
  })

  test(name('list tells what runs and how it was started'), async () => {
    const handle = await sandbox.commands.run('sleep 555', { background: true, cwd: '/tmp', envs: { SHOWN: 'yes' } })
    const row = (await sandbox.commands.list()).find((p) => p.pid === handle.pid)
    assert.deepEqual([row.cmd, row.args, row.cwd, row.envs.SHOWN], ['/bin/bash', ['-l', '-c', 'sleep 555'], '/tmp', 'yes'])
    await handle.kill()
    await assert.rejects(handle.wait(), (e) => e instanceof CommandExitError && e.exitCode === -1 && e.error === 'signal: killed')
    await until('it leaves the list', async () => !(await hasPid(handle.pid)))
    assert.equal(await sandbox.commands.kill(handle.pid), false)
  })

  test(name('kill of a shell: what it would have done next is not done, it leaves the list at once'), async () => {
    const handle = await sandbox.commands.run('sleep 4001; touch /tmp/never', { background: true })
    await until('it runs', async () => (await running('sleep 4001')) === '1')
    assert.equal(await handle.kill(), true)
    await assert.rejects(handle.wait(), (e) => e.exitCode === -1)
    assert.deepEqual(await sandbox.commands.list(), [])
    // The signal is for the process that was named, not for its children (wire.md 3.5).
    await sandbox.commands.run('pkill -fx "sleep 4001" || true')
    await until('none runs', async () => (await running('sleep 4001')) === '0')
    assert.equal(await sandbox.files.exists('/tmp/never'), false)
  })

  test(name('connect: all who listen hear everything; a late one learns the end; an unknown pid is told'), async () => {
    const handle = await sandbox.commands.run('read go; seq 1 2000; echo err >&2; exit 4', { background: true, stdin: true })
    let seen = ''
    const others = await Promise.all([1, 2, 3].map(() => sandbox.commands.connect(handle.pid, { onStdout: (d) => { seen += d } })))
    await handle.sendStdin('go\n')
    const all = Array.from({ length: 2000 }, (_, i) => `${i + 1}\n`).join('')
    for (const one of [handle, ...others]) {
      await assert.rejects(one.wait(), (e) => e.exitCode === 4 && e.stdout === all && e.stderr === 'err\n')
    }
    assert.equal(seen.length, 3 * all.length)
    const late = await sandbox.commands.connect(handle.pid)
    await assert.rejects(late.wait(), (e) => e.exitCode === 4)
    await assert.rejects(sandbox.commands.connect(4000000), (e) => e instanceof NotFoundError && /process with pid 4000000 not found/.test(e.message))
  })

  test(name('disconnect leaves it running; who connects again hears the rest'), async () => {
    const handle = await sandbox.commands.run('for i in $(seq 1 1000); do echo $i; sleep 0.02; done', { background: true })
    await until('it talks', () => handle.stdout.length > 0)
    await handle.disconnect()
    await sleep(100)
    assert.equal(await hasPid(handle.pid), true)
    const again = await sandbox.commands.connect(handle.pid)
    await until('it goes on', () => again.stdout.split('\n').length > 5)
    const numbers = again.stdout.trim().split('\n').map(Number)
    assert.deepEqual(numbers.slice(0, 5), [0, 1, 2, 3, 4].map((i) => numbers[0] + i))
    await again.kill()
    await assert.rejects(again.wait())
  })

  test(name('a deadline kills what was started with it; that of a connect only ends the listening'), async () => {
    const began = Date.now()
    await assert.rejects(sandbox.commands.run('exec sleep 4003', { timeoutMs: 400 }), (e) => e instanceof TimeoutError)
    assert.ok(Date.now() - began < 3000)
    await until('it is gone', async () => (await running('sleep 4003')) === '0')
    const handle = await sandbox.commands.run('sleep 4004', { background: true, timeoutMs: 0 })
    const listener = await sandbox.commands.connect(handle.pid, { timeoutMs: 200 })
    await assert.rejects(listener.wait(), (e) => e instanceof TimeoutError)
    assert.equal(await hasPid(handle.pid), true)
    await handle.kill()
    await assert.rejects(handle.wait())
  })

  test(name('the end waits for children that hold the output, not for others'), async () => {
    let began = Date.now()
    assert.equal((await sandbox.commands.run('(sleep 0.4; echo child) & echo parent')).stdout, 'parent\nchild\n')
    assert.ok(Date.now() - began >= 390)
    began = Date.now()
    assert.equal((await sandbox.commands.run('setsid sleep 20 >/dev/null 2>&1 & echo parent')).stdout, 'parent\n')
    assert.ok(Date.now() - began < 3000)
    await until('it runs', async () => (await running('sleep 20')) === '1')
    await sandbox.commands.run('pkill -fx "sleep 20"')
  })

  test(name('200 processes with open streams at once'), async () => {
    const handles = await Promise.all(Array.from({ length: 200 }, (_, i) => sandbox.commands.run(`read line; echo ${i} $line`, { background: true, stdin: true })))
    assert.equal(new Set(handles.map((h) => h.pid)).size, 200)
    const pids = new Set((await sandbox.commands.list()).map((p) => p.pid))
    assert.ok(handles.every((h) => pids.has(h.pid)))
    const began = Date.now()
    assert.equal((await sandbox.commands.run('echo beside')).stdout, 'beside\n')
    assert.ok(Date.now() - began < 2000)
    await Promise.all(handles.map((h, i) => h.sendStdin(`line ${i * 7}\n`)))
    const ends = await Promise.all(handles.map((h) => h.wait()))
    assert.deepEqual(ends.map((e) => e.stdout), handles.map((_, i) => `${i} line ${i * 7}\n`))
  })

  test(name('an abandoned request: the command goes on, its stream is closed'), async () => {
    const giveUp = new AbortController()
    const r = await fetch(`${server.url}/process.Process/Start`, {
      method: 'POST', signal: giveUp.signal, headers: headersFor(sandbox, { 'Content-Type': 'application/connect+json' }),
      body: envelope({ process: { cmd: 'sleep', args: ['4005'] } }),
    })
    assert.equal(r.status, 200)
    giveUp.abort()
    await r.text().catch(() => {})
    await sleep(100)
    assert.equal(await running('sleep 4005'), '1')
    await sandbox.commands.run('pkill -fx "sleep 4005"')
  })

  test(name('kill'), async () => {
    const left = await sandbox.commands.run('sleep 4006', { background: true })
    assert.equal(await sandbox.kill(), true)
    await assert.rejects(left.wait())
    await assert.rejects(sandbox.commands.run('true'), (e) => e instanceof Error)
  })
}

leavesNothing(server)
