// Root file systems other than Debian's: one of musl and ash as Alpine has them, busybox alone, and a
// tree of a single shell with no /etc, no /tmp and no place for /proc. No bash anywhere.
import test from 'node:test'
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { root, until } from './server.mjs'
import { execute, generations, leavesNothing, serve, start, unary } from './guest.mjs'

function makeTrees(data) {
  rmSync(path.join(data, 'rootfs')) // the link to the shared trees
  rmSync(path.join(data, 'templates/base.json'))
  execFileSync(path.join(root, 'tests/sdk/trees/make'), [data], { stdio: ['ignore', 'ignore', 'inherit'] })
  const busybox = JSON.parse(readFileSync(path.join(data, 'templates/busybox.json'), 'utf8'))
  writeFileSync(path.join(data, 'templates/no-such-user.json'), JSON.stringify({
    ...busybox, templateID: 'no-such-user', aliases: ['no-such-user'], names: ['no-such-user'], defaultUser: 'user', defaultWorkdir: '/home/user',
  }))
}

const server = await serve([], makeTrees)

const trees = [
  { tree: 'alpine-like', user: 'app', uid: 1001, home: '/home/app', cwd: '/home/app', group: 'app' },
  { tree: 'busybox', user: 'root', uid: 0, home: '/root', cwd: '/root', group: 'root' },
  { tree: 'bare', user: 'root', uid: 0, home: '/root', cwd: '/', group: 'root' },
]

for (const { name: generation, Sandbox, AuthenticationError, CommandExitError } of generations) {
  for (const { tree, user, uid, home, cwd, group } of trees) {
    const name = (what) => `${generation}: ${tree}: ${what}`
    const sh = (script, opts) => execute(server, sandbox, '/bin/sh', ['-c', script], opts)
    let sandbox

    test(name('create; the kernel file systems are there'), async () => {
      sandbox = await Sandbox.create(tree)
      assert.equal(await sandbox.isRunning(), true)
      const r = await sh('busybox cat /proc/1/comm; test -d /sys/kernel && echo sys; echo x >/dev/null && echo null; test -c /dev/tty && echo dev; busybox mount | busybox grep -c "on /proc type proc"; busybox cat /run/e2b/.E2B_SANDBOX_ID')
      assert.deepEqual([r.stdout, r.stderr, r.exitCode], [`envd\nsys\nnull\ndev\n1\n${sandbox.sandboxId}`, '', 0])
    })

    test(name('a program by /bin/sh: user, variables, directory, exit code, both outputs'), async () => {
      const r = await sh('echo "$USER $HOME $VAR $E2B_SANDBOX_ID"; busybox id -u; pwd; echo err >&2; exit 7', { envs: { VAR: 'var' } })
      assert.deepEqual([r.stdout, r.stderr, r.exitCode, r.status], [`${user} ${home} var ${sandbox.sandboxId}\n${uid}\n${cwd}\n`, 'err\n', 7, 'exit status 7'])
      const byName = await execute(server, sandbox, 'busybox', ['echo', 'by', 'PATH'])
      assert.deepEqual([byName.stdout, byName.exitCode], ['by PATH\n', 0])
      const killed = await sh('kill -9 $$')
      assert.deepEqual([killed.exitCode, killed.error], [-1, 'signal: killed'])
    })

    test(name('what the SDK runs needs bash: told as a shell would'), async () => {
      await assert.rejects(sandbox.commands.run('true'), (e) => e instanceof CommandExitError && e.exitCode === 127 && /\/bin\/bash.*not found/.test(e.stderr))
    })

    test(name('stdin, kill and list'), async () => {
      const cat = await start(server, sandbox, { process: { cmd: 'busybox', args: ['cat'] }, stdin: true })
      await sandbox.commands.sendStdin(cat.pid, 'through\n')
      await until('it comes back', () => cat.text('stdout') === 'through\n')
      assert.deepEqual((await sandbox.commands.list()).map((p) => [p.pid, p.cmd]), [[cat.pid, 'busybox']])
      await sandbox.commands.closeStdin(cat.pid)
      assert.equal((await cat.done).exitCode, 0)
      const tail = await start(server, sandbox, { process: { cmd: '/bin/sh', args: ['-c', 'busybox sleep 6001; echo'] } })
      assert.equal(await sandbox.commands.kill(tail.pid), true)
      assert.equal((await tail.done).exitCode, -1)
      assert.deepEqual(await sandbox.commands.list(), [])
    })

    test(name('files: written, read, listed, moved and removed, /tmp or not'), async () => {
      await sandbox.files.write('/tmp/deep/a file', 'text')
      assert.equal(await sandbox.files.read('/tmp/deep/a file'), 'text')
      const info = await sandbox.files.getInfo('/tmp/deep/a file')
      assert.deepEqual([info.owner, info.group, info.size], [user, group, 4])
      assert.equal((await sandbox.files.write('at-home', 'h')).path, `${home}/at-home`)
      assert.equal(await sandbox.files.read('~/at-home'), 'h')
      assert.equal(await sandbox.files.makeDir('/made/here'), true)
      await sandbox.files.rename('/tmp/deep', '/made/moved')
      assert.deepEqual((await sandbox.files.list('/made', { depth: 2 })).map((e) => e.path), ['/made/here', '/made/moved', '/made/moved/a file'])
      await sandbox.files.remove('/made')
      assert.equal(await sandbox.files.exists('/made'), false)
      assert.ok((await sandbox.files.list('/')).some((e) => e.name === 'proc' && e.type === 'dir'))
    })

    test(name('a terminal with sh: size, resize, Ctrl-C, line editing, exit code'), async () => {
      const t = await start(server, sandbox, { process: { cmd: '/bin/sh', args: ['-i'], envs: { PS1: '@@' } }, pty: { size: { cols: 91, rows: 27 } } })
      const type = (keys) => sandbox.pty.sendInput(t.pid, Buffer.from(keys))
      const shows = (pattern) => until(String(pattern), () => pattern.test(t.text('pty'))).catch((e) => { throw new Error(`${e.message}: ${JSON.stringify(t.text('pty'))}`) })
      await shows(/@@/)
      await type('busybox stty size\n')
      await shows(/27 91\r\n/)
      await sandbox.pty.resize(t.pid, { cols: 101, rows: 31 })
      await type('busybox stty size\n')
      await shows(/31 101\r\n/)
      await type('busybox sleep 6002\n')
      await until('it runs', async () => (await sh("busybox ps | busybox grep -c '[s]leep 6002'")).stdout === '1\n')
      await type('\x03')
      await shows(/\^C[^]*@@/)
      await type('echo "ended $?"\n')
      await shows(/ended 130\r\n/)
      await type('exit 9')
      await type('\x7f\x7f 5\r') // the line is edited: the terminal is in no odd state
      assert.equal((await t.done).exitCode, 5)
    })

    test(name('an unknown user is told; root is always known'), async () => {
      await assert.rejects(start(server, sandbox, { process: { cmd: '/bin/sh' } }, { user: 'nobody-such' }).then((s) => s.done), (e) => e.code === 'unauthenticated' && /invalid username: 'nobody-such'/.test(e.message))
      await assert.rejects(sandbox.files.read('/bin/sh', { user: 'nobody-such' }), AuthenticationError)
      assert.equal((await sh('echo $USER $HOME; busybox id -u', { user: 'root' })).stdout, 'root /root\n0\n')
    })

    if (tree === 'alpine-like') {
      test(name('a program linked to musl sees the users and groups that envd gave it, and the terminal'), async () => {
        assert.equal((await execute(server, sandbox, 'whoami-musl')).stdout, 'user=app home=/home/app groups=wheel,users,app\n')
        assert.equal((await execute(server, sandbox, 'whoami-musl', [], { user: 'root' })).stdout, 'user=root home=/root groups=root,bin,daemon,wheel\n')
        assert.equal((await execute(server, sandbox, 'whoami-musl', [], { user: 'nobody' })).stdout, 'user=nobody home=/ groups=nobody\n')
        const t = await start(server, sandbox, { process: { cmd: 'whoami-musl' }, pty: { size: { cols: 70, rows: 20 } } })
        assert.equal((await t.done).pty.toString(), 'user=app home=/home/app groups=wheel,users,app terminal=70x20\r\n')
      })

      test(name('a login shell reads /etc/profile; a user may not do what root may'), async () => {
        const r = await execute(server, sandbox, '/bin/ash', ['-l', '-c', 'echo $PAGER $PATH'])
        assert.equal(r.stdout, 'less /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n')
        assert.equal((await sh('echo x >/etc/new 2>/dev/null || echo refused; touch /tmp/mine && echo may')).stdout, 'refused\nmay\n')
      })
    }

    if (tree === 'busybox') {
      test(name('broken lines, no final line break, homes that are not there, users by number'), async () => {
        const who = async (as) => (await sh('echo "$USER $HOME $(pwd) $(id -u) $(id -g) $(id -G)"', { user: as })).stdout.trim()
        assert.equal(await who('ghost'), 'ghost /home/ghost /root 2000 2001 2001 4000')
        assert.equal(await who('last'), 'last / /root 3000 3000 3000 4000 4001')
        assert.equal(await who('3000'), 'last / /root 3000 3000 3000 4000 4001')
        for (const bad of ['broken', '# users', '1234', '']) {
          const r = await unary(server, sandbox, 'filesystem.Filesystem/Stat', { path: '/' }, bad)
          assert.equal(r.status, bad === '' ? 200 : 401, `${bad}: ${JSON.stringify(r.body)}`)
        }
        await sandbox.files.write('~/new', 'x', { user: 'ghost' })
        assert.equal((await sh('stat -c "%u:%g" /home/ghost /home/ghost/new')).stdout, '2000:2001\n2000:2001\n')
        const info = await sandbox.files.getInfo('/home/ghost/new')
        assert.deepEqual([info.owner, info.group], ['ghost', '2001'])
      })
    }

    if (tree === 'bare') {
      test(name('nothing of /etc is needed, and what it says later counts'), async () => {
        assert.equal((await sh('busybox ls -d /etc/passwd /etc/group; true')).stdout, '')
        await sandbox.files.write('/etc/passwd', 'late:x:5000:5000::/:/bin/sh\n')
        assert.equal((await sh('echo $USER; busybox id -u', { user: 'late' })).stdout, 'late\n5000\n')
      })
    }

    test(name('kill'), async () => {
      assert.equal(await sandbox.kill(), true)
    })
  }

  test(`${generation}: a default user that the tree does not have is told, by name`, async () => {
    const sandbox = await Sandbox.create('no-such-user')
    await assert.rejects(start(server, sandbox, { process: { cmd: '/bin/sh' } }).then((s) => s.done), (e) => e.code === 'unauthenticated' && /invalid default user: 'user'/.test(e.message))
    await assert.rejects(sandbox.files.list('/'), AuthenticationError)
    assert.equal((await execute(server, sandbox, 'id', ['-un'], { user: 'root' })).stdout, 'root\n')
    assert.equal(await sandbox.kill(), true)
  })
}

leavesNothing(server)
