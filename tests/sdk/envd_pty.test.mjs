// Terminals as the SDKs open them, with the programs people run in them: a shell with job control, vim,
// top. wire.md 3.4, 3.5.
import test from 'node:test'
import assert from 'node:assert/strict'
import { sleep, until } from './server.mjs'
import { generations, leavesNothing, serve } from './guest.mjs'

const server = await serve()
const PROMPT = '@@'
const CTRL = { C: '\x03', D: '\x04', Z: '\x1a', BACKSLASH: '\x1c' }

for (const { name: generation, Sandbox, CommandExitError, NotFoundError, TimeoutError } of generations) {
  const name = (what) => `${generation}: ${what}`
  let sandbox

  // A terminal that is typed into and read like one.
  async function open(opts = {}) {
    const t = { seen: '', from: 0 }
    t.handle = await sandbox.pty.create({ cols: 80, rows: 24, onData: (d) => { t.seen += Buffer.from(d).toString('latin1') }, envs: { PS1: PROMPT }, ...opts })
    t.text = () => Buffer.from(t.seen, 'latin1').toString()
    t.type = (keys) => sandbox.pty.sendInput(t.handle.pid, Buffer.from(keys))
    // What was printed since the last look, up to and with the pattern.
    t.until = async (pattern, ms = 5000) => {
      const rest = () => t.text().slice(t.from)
      await until(`${pattern}`, () => pattern.test(rest()), ms).catch((e) => {
        throw new Error(`${e.message}; the terminal shows ${JSON.stringify(rest().slice(-1500))}`)
      })
      const found = rest().match(pattern), upTo = rest().slice(0, found.index + found[0].length)
      t.from += upTo.length
      return found
    }
    t.end = async () => t.handle.wait().then((r) => r.exitCode, (e) => {
      if (e instanceof CommandExitError) return e.exitCode
      throw e
    })
    return t
  }

  async function shell(opts) {
    const t = await open(opts)
    // The profile of the image sets a prompt of its own.
    await t.type(`PS1=${PROMPT} PROMPT_COMMAND=; bind 'set enable-bracketed-paste off'; echo re''ady\n`)
    await t.until(/ready\r\n/)
    await t.until(/@@/)
    // One command, what it prints, without the echo of the line and the prompt.
    t.run = async (line) => {
      await t.type(`${line}\n`)
      return (await t.until(/\n([^]*?)@@/))[1].replaceAll('\r\n', '\n')
    }
    return t
  }

  const running = async (pattern) => Number((await sandbox.commands.run(`pgrep -fxc '${pattern}' || true`)).stdout)

  test(name('create'), async () => {
    sandbox = await Sandbox.create('base', { envs: { GLOBAL: 'g' } })
  })

  test(name('a terminal has its size, its type, the variables, the directory and the user that were asked for'), async () => {
    const t = await shell({ cols: 101, rows: 37, envs: { OWN: 'o' }, cwd: '/usr/share' })
    assert.equal(await t.run('stty size'), '37 101\n')
    assert.equal(await t.run('echo $TERM $LANG $LC_ALL $GLOBAL $OWN $E2B_SANDBOX'), 'xterm-256color C.UTF-8 C.UTF-8 g o true\n')
    assert.equal(await t.run('pwd; id -un; test -t 0 && test -t 1 && test -t 2 && echo terminal'), '/usr/share\nuser\nterminal\n')
    assert.match(await t.run('tty; stat -c %U $(tty)'), /^\/dev\/pts\/\d+\nuser\n$/)
    assert.equal(await t.run('ps -o tpgid=,pgid= -p $$ | wc -l; case $- in *i*) echo interactive;; esac'), '1\ninteractive\n')
    const row = (await sandbox.commands.list()).find((p) => p.pid === t.handle.pid)
    assert.deepEqual([row.cmd, row.args], ['/bin/bash', ['-i', '-l']])
    await t.type('exit\n')
    assert.equal(await t.end(), 0)
    const root = await shell({ user: 'root' })
    assert.equal(await root.run('id -u; pwd'), '0\n/home/user\n')
    await root.type('exit 3\n')
    assert.equal(await root.end(), 3)
  })

  test(name('what is typed is echoed and read as UTF-8; what is printed arrives whole'), async () => {
    const t = await shell()
    await t.type("echo rea''ding; read -r line; echo \"<$line>\"\n")
    await t.until(/reading\r\n/) // only now is it the terminal that echoes
    assert.equal(await t.run("žluťoučký 🐎 it's"), "<žluťoučký 🐎 it's>\n")
    assert.ok(t.text().includes("\r\nžluťoučký 🐎 it's\r\n<žlu"))
    assert.equal(await t.run('seq 1 20000 | md5sum; seq 1 20000 | tail -n 1'), (await sandbox.commands.run('seq 1 20000 | md5sum; echo 20000')).stdout)
    const numbers = await t.run('seq 1 20000')
    assert.equal(numbers, Array.from({ length: 20000 }, (_, i) => `${i + 1}\n`).join(''))
    await t.type('exit\n')
    assert.equal(await t.end(), 0)
  })

  test(name('resize reaches the program: stty, SIGWINCH, a full-screen program'), async () => {
    const t = await shell({ cols: 80, rows: 24 })
    await sandbox.pty.resize(t.handle.pid, { cols: 132, rows: 50 })
    assert.equal(await t.run('stty size'), '50 132\n')
    await t.type(`python3 -c "
import os, signal, sys, time
def told(*_):
    size = os.get_terminal_size(); os.write(1, b'told %d %d' % tuple(size)); os._exit(0)
signal.signal(signal.SIGWINCH, told); os.write(1, b'wai' + b'ting'); time.sleep(20)"
`)
    await t.until(/waiting/)
    await sandbox.pty.resize(t.handle.pid, { cols: 99, rows: 11 })
    await t.until(/told 99 11/)
    await t.until(/@@/)
    await t.type('exit\n')
    assert.equal(await t.end(), 0)
    await assert.rejects(sandbox.pty.resize(4000000, { cols: 1, rows: 1 }), NotFoundError)
    const pipe = await sandbox.commands.run('sleep 30', { background: true })
    await assert.rejects(sandbox.pty.resize(pipe.pid, { cols: 1, rows: 1 }), /tty is not set/)
    await assert.rejects(sandbox.pty.sendInput(pipe.pid, Buffer.from('x')), /tty/)
    await pipe.kill()
    await assert.rejects(pipe.wait())
  })

  test(name('Ctrl-C, Ctrl-\\, Ctrl-Z and Ctrl-D do what they do; jobs are controlled'), async () => {
    const t = await shell()
    await t.type('sleep 5001\n')
    await until('it runs', async () => (await running('sleep 5001')) === 1)
    await t.type(CTRL.C)
    await t.until(/\^C[^]*@@/)
    assert.equal(await t.run('echo $?'), '130\n')
    await t.type('sleep 5002\n')
    await until('it runs', async () => (await running('sleep 5002')) === 1)
    await t.type(CTRL.BACKSLASH)
    await t.until(/@@/)
    assert.equal(await t.run('echo $?'), '131\n')
    await t.type('sleep 5003\n')
    await until('it runs', async () => (await running('sleep 5003')) === 1)
    await t.type(CTRL.Z)
    await t.until(/Stopped +sleep 5003[^]*@@/)
    assert.match(await t.run('jobs'), /\[1\]\+ +Stopped +sleep 5003/)
    assert.match(await t.run('bg'), /sleep 5003 &/)
    assert.match(await t.run('jobs'), /\[1\]\+ +Running +sleep 5003/)
    await t.type('fg\n')
    await t.until(/sleep 5003\r\n/)
    await t.type(CTRL.C)
    await t.until(/@@/)
    await until('it is gone', async () => (await running('sleep 5003')) === 0)
    await t.type('cat >/tmp/typed\n')
    await until('it runs', async () => (await running('cat')) === 1)
    await t.type(`line\n${CTRL.D}`)
    await t.until(/line\r\n@@/)
    assert.equal(await sandbox.files.read('/tmp/typed'), 'line\n')
    await t.type(CTRL.D)
    assert.equal(await t.end(), 0)
  })

  test(name('a large paste arrives whole; Ctrl-C ends a flood'), async () => {
    const t = await shell()
    await t.type('stty -echo; cat >/tmp/pasted; stty echo\n')
    await until('cat reads', async () => (await running('cat')) === 1)
    const text = Array.from({ length: 5000 }, (_, i) => `line ${i} ${'y'.repeat(60)}\n`).join('')
    await t.type(text)
    await t.type(CTRL.D)
    await t.until(/@@/)
    assert.equal(await sandbox.files.read('/tmp/pasted'), text)
    await t.type('yes flood\n')
    await until('it floods', () => t.seen.length > 1_000_000)
    await t.type(CTRL.C)
    await until('it ends', async () => (await running('yes flood')) === 0)
    await t.type('exit 6\n')
    assert.equal(await t.end(), 6)
    assert.match(t.text().slice(-200), /\^C[^]*@@exit 6\r\nlogout\r\n$/)
  })

  test(name('a second listener sees and types; a disconnected terminal goes on'), async () => {
    const t = await shell()
    let seen = ''
    const other = await sandbox.pty.connect(t.handle.pid, { onData: (d) => { seen += Buffer.from(d).toString() } })
    await sandbox.pty.sendInput(other.pid, Buffer.from("echo by-''the-other\n"))
    await t.until(/by-the-other\r\n/)
    await until('both see it', () => seen.includes('by-the-other\r\n'))
    await t.handle.disconnect()
    await other.disconnect()
    await t.type('echo alone >/tmp/alone; export KEPT=kept\n')
    await until('it still obeys', async () => (await sandbox.files.read('/tmp/alone').catch(() => '')) === 'alone\n')
    seen = ''
    const again = await sandbox.pty.connect(t.handle.pid, { onData: (d) => { seen += Buffer.from(d).toString() } })
    await t.type('echo $KEPT; exit 5\n')
    await assert.rejects(again.wait(), (e) => e instanceof CommandExitError && e.exitCode === 5)
    assert.match(seen, /\nkept\r\n/)
  })

  test(name('kill ends the shell and what runs in it; a deadline does too'), async () => {
    const t = await shell()
    await t.type('sleep 5004\n')
    await until('it runs', async () => (await running('sleep 5004')) === 1)
    assert.equal(await sandbox.pty.kill(t.handle.pid), true)
    assert.equal(await t.end(), -1)
    await until('its child is gone', async () => (await running('sleep 5004')) === 0)
    assert.equal(await sandbox.pty.kill(t.handle.pid), false)
    await assert.rejects(sandbox.commands.closeStdin(t.handle.pid), NotFoundError)
    const short = await open({ timeoutMs: 400 })
    await assert.rejects(sandbox.commands.closeStdin(short.handle.pid), /Ctrl\+D/)
    await assert.rejects(sandbox.commands.sendStdin(short.handle.pid, 'x'), /pty/)
    await assert.rejects(short.handle.wait(), TimeoutError)
    await until('it is gone', async () => !(await sandbox.commands.list()).some((p) => p.pid === short.handle.pid))
  })

  test(name('vim: a file is written, the screen follows the size'), async () => {
    const t = await shell({ cols: 90, rows: 20 })
    await t.type('vim.tiny -u NONE /tmp/written.txt\n')
    await t.until(/"\/tmp\/written\.txt" \[New/)
    await t.type('ifirst line\rsecond ž\x1b')
    await sandbox.pty.resize(t.handle.pid, { cols: 120, rows: 40 })
    await t.until(/\x1b\[39;1H~/) // a line that only the larger screen has
    await t.type(':set lines? columns?\r')
    await t.until(/lines=40[^]*columns=120/)
    await t.type('\r')
    await t.type('ggdd:wq\r')
    await t.until(/written[^]*@@/)
    assert.equal(await sandbox.files.read('/tmp/written.txt'), 'second ž\n')
    await t.type('exit\n')
    assert.equal(await t.end(), 0)
  })

  test(name('top: draws, answers keys, quits'), async () => {
    const t = await shell({ cols: 100, rows: 25 })
    await t.type('top -d 0.3\n')
    await t.until(/Tasks:[^]*COMMAND[^]*envd/)
    await t.until(/load average/) // drawn again by itself
    await t.type('V') // the tree of processes, by top's own keys
    await t.until(/`- /)
    await t.type('q')
    await t.until(/@@/)
    assert.equal(await t.run('echo $?'), '0\n')
    await t.type('top -d 5\n')
    await t.until(/COMMAND/)
    await t.type(CTRL.C)
    await t.until(/@@/)
    await t.type('exit\n')
    assert.equal(await t.end(), 0)
  })

  test(name('40 terminals at once are 40 terminals, and none is left'), async () => {
    const before = (await sandbox.commands.run('ls /dev/pts | wc -l')).stdout
    const all = await Promise.all(Array.from({ length: 40 }, (_, i) => open({ cols: 20 + i, rows: 10 })))
    await Promise.all(all.map((t, i) => t.type(`stty size; exit ${i}\n`)))
    assert.deepEqual(await Promise.all(all.map((t) => t.end())), all.map((_, i) => i))
    for (const [i, t] of all.entries()) assert.ok(t.text().includes(`10 ${20 + i}\r\n`), t.text())
    await sleep(50)
    assert.equal((await sandbox.commands.run('ls /dev/pts | wc -l')).stdout, before)
  })

  test(name('kill'), async () => {
    const t = await open()
    assert.equal(await sandbox.kill(), true)
    await assert.rejects(t.handle.wait())
  })
}

leavesNothing(server)
