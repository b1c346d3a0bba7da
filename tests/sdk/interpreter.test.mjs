// The official code interpreter SDK, 2.7.1 and the newest, on the template code-interpreter-v1.
import test, { after } from 'node:test'
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, readdirSync } from 'node:fs'
import { binary, sleep, startServer, until } from './server.mjs'

const server = await startServer()
Object.assign(process.env, server.env)
after(() => server.stop())

const nameOf = (pid) => spawnSync('nsenter', ['-u', '-t', pid, 'hostname'], { encoding: 'utf8' }).stdout.trim()
// Services of this server's sandboxes that nobody has asked for yet: those have no name of their own.
function servicesAhead() {
  const base = Number(process.env.SANDLOT_TEST_UID_BASE ?? 1879048192)
  return readdirSync('/proc').filter((pid) => {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8')
      const uid = Number(status.match(/^Uid:\t(\d+)/m)?.[1] ?? 0)
      return status.startsWith('Name:\tsandlot-interpr\n') && uid >= base && uid < base + 500 * 65536 && nameOf(pid) === 'localhost'
    } catch { return false }
  })
}
const children = (pid) => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean)

// A Python has one thread until its kernel answers; one that ends before that is not replaced until code is run.
const hasThreads = (pid) => {
  try {
    return Number(readFileSync(`/proc/${pid}/status`, 'utf8').match(/^Threads:\t(\d+)/m)[1]) > 5
  } catch { return false }
}

const LONG = { timeoutMs: 240_000, requestTimeoutMs: 120_000 } // of a slow machine
const plot = (code) => `import matplotlib.pyplot as plt\n${code}\nplt.show()`

const charts = [
  ['line', "fig, ax = plt.subplots()\nax.plot([1, 2], [3, 4], label='a')\nax.set_title('T')\nax.set_xlabel('time (s)')", (c) => {
    assert.deepEqual([c.title, c.x_label, c.x_unit, c.y_label, c.x_scale], ['T', 'time (s)', 's', null, 'linear'])
    assert.deepEqual(c.elements, [{ label: 'a', points: [[1, 3], [2, 4]] }])
    assert.equal(c.x_ticks.length, c.x_tick_labels.length)
  }],
  ['line', "import datetime as d\nplt.plot([d.date(2024, 1, 1), d.date(2024, 1, 2)], [1, 2])", (c) => {
    assert.equal(c.x_scale, 'datetime')
    assert.equal(c.elements[0].points[0][0].slice(0, 10), '2024-01-01')
  }],
  ['scatter', "plt.scatter([1, 2], [3, 4], label='s')", (c) =>
    assert.deepEqual(c.elements, [{ label: 's', points: [[1, 3], [2, 4]] }])],
  ['bar', "plt.bar(['p', 'q'], [3, 4], label='g')", (c) =>
    assert.deepEqual(c.elements, [{ label: 'p', group: 'g', value: 3 }, { label: 'q', group: 'g', value: 4 }])],
  ['pie', "plt.pie([1, 3], labels=['x', 'y'])", (c) =>
    assert.deepEqual(c.elements, [{ label: 'x', angle: 90, radius: 1 }, { label: 'y', angle: 270, radius: 1 }])],
  ['box_and_whisker', 'plt.boxplot([[1, 2, 3, 4, 100]])', (c) =>
    assert.deepEqual(c.elements, [{ label: '1', min: 1, first_quartile: 2, median: 3, third_quartile: 4, max: 4, outliers: [100] }])],
  ['superchart', "fig, (a, b) = plt.subplots(1, 2)\na.plot([1, 2])\nb.bar(['q'], [2])\nfig.suptitle('S')", (c) => {
    assert.equal(c.title, 'S')
    assert.deepEqual(c.elements.map((e) => e.type), ['line', 'bar'])
  }],
  ['unknown', 'plt.imshow([[1, 2], [3, 4]])', (c) => assert.deepEqual(c.elements, [])],
]

for (const generation of ['interpreter-old', 'interpreter-new']) {
  const { Sandbox, NotFoundError } = await import(generation)
  const isFirst = generation === 'interpreter-old'
  const name = (what) => `${generation}: ${what}`
  let sandbox
  const run = (code, options) => sandbox.runCode(code, { ...LONG, ...options })

  test(name('code runs at once in a new sandbox'), async () => {
    sandbox = await Sandbox.create({ envs: { GLOBAL: 'g' }, timeoutMs: 3_000_000, requestTimeoutMs: 120_000 })
    const r = await run('1+1')
    assert.equal(r.text, '2')
    assert.equal(r.executionCount, 1)
    assert.deepEqual([r.results.length, r.results[0].isMainResult, r.error, r.logs], [1, true, undefined, { stdout: [], stderr: [] }])
  })

  test(name('state, top-level await, shell escapes'), async () => {
    await run('x = 20')
    assert.equal((await run('x + 1')).text, '21')
    assert.equal((await run("import asyncio\nawait asyncio.sleep(0, 'slept')")).text, 'slept')
    assert.equal((await run('!echo $((40 + 2))')).logs.stdout.join('').trim(), '42')
    assert.equal((await run("'quoted'")).text, 'quoted')
  })

  test(name('output and results by callbacks, while the code runs'), async () => {
    const seen = []
    const r = await run("import sys, time\nprint('one', flush=True)\ntime.sleep(1)\nprint('two', file=sys.stderr)\n7", {
      onStdout: (o) => seen.push(['out', o.line.trim(), Date.now()]),
      onStderr: (o) => seen.push(['err', o.line.trim()]),
      onResult: (result) => seen.push(['result', result.text, Date.now()]),
    })
    assert.deepEqual(seen.map((s) => s.slice(0, 2)), [['out', 'one'], ['err', 'two'], ['result', '7']])
    assert.ok(seen[2][2] - seen[0][2] >= 500, 'the first line came before the end')
    assert.deepEqual(r.logs, { stdout: ['one\n'], stderr: ['two\n'] })
  })

  test(name('errors have name, value and traceback; the context goes on'), async () => {
    let told
    const r = await run('y = 5\n1/0', { onError: (e) => (told = e) })
    assert.deepEqual([r.error.name, r.error.value], ['ZeroDivisionError', 'division by zero'])
    assert.match(r.error.traceback, /Traceback/)
    assert.equal(told.name, 'ZeroDivisionError')
    assert.equal((await run('def f(')).error.name, 'SyntaxError')
    assert.equal((await run('y')).text, '5')
  })

  test(name('tables: html and data; html, markdown, latex, json, svg'), async () => {
    const r = await run("import pandas as pd\npd.DataFrame({'a': [1, 2], 'b': ['x', None]})")
    assert.match(r.results[0].html, /<table/)
    assert.deepEqual(r.results[0].data, { a: [1, 2], b: ['x', null] })
    const shown = await run("from IPython.display import *\ndisplay(HTML('<b>h</b>'), Markdown('*m*'), Latex('$l$'), JSON({'j': [1]}), SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>'), Javascript('1'))\ndisplay({'x/y': 'z'}, raw=True)")
    assert.deepEqual(shown.error, undefined)
    const [html, markdown, latex, json, svg, script, other] = shown.results
    assert.deepEqual([html.html, markdown.markdown, latex.latex, json.json, script.javascript], ['<b>h</b>', '*m*', '$l$', { j: [1] }, '1'])
    assert.match(svg.svg, /<svg/)
    assert.equal(html.isMainResult, false)
    assert.ok(other)
  })

  for (const [kind, code, check] of charts) {
    test(name(`chart: ${kind}: ${code.slice(0, 30).replaceAll('\n', ' ')}`), async () => {
      const [result] = (await run(plot(code))).results
      assert.equal(Buffer.from(result.png, 'base64').subarray(1, 4).toString(), 'PNG')
      assert.equal(result.chart.type, kind)
      check(result.chart)
    })
  }

  test(name('variables of a request, over those of the sandbox'), async () => {
    const code = "import os\n[os.environ.get('GLOBAL'), os.environ.get('A')]"
    assert.equal((await run(code, { envs: { A: 'request', GLOBAL: 'over' } })).text, "['over', 'request']")
    assert.equal((await run(code)).text, "['g', None]")
  })

  test(name('contexts: cwd, own state, restart, removal, list'), async () => {
    const context = await sandbox.createCodeContext({ cwd: '/tmp', requestTimeoutMs: 120_000 })
    assert.deepEqual([context.language, context.cwd], ['python', '/tmp'])
    assert.equal((await run("import os\nz = 1\nos.getcwd()", { context })).text, '/tmp')
    assert.equal((await run('z')).error.name, 'NameError')
    if (typeof sandbox.listCodeContexts === 'function') {
      const all = await sandbox.listCodeContexts()
      assert.ok(all.some((c) => c.id === context.id))
      assert.deepEqual(all.filter((c) => c.cwd === '/home/user').map((c) => c.language).slice(0, 2), ['python', 'javascript'])
    }
    await sandbox.restartCodeContext(context)
    assert.equal((await run('z', { context })).error.name, 'NameError')
    await sandbox.removeCodeContext(context)
    await assert.rejects(run('1', { context }), (e) => e instanceof NotFoundError && e.message === `Context ${context.id} not found`)
    await assert.rejects(sandbox.removeCodeContext(context), NotFoundError)
    await assert.rejects(sandbox.createCodeContext({ language: 'cobol' }))
    await assert.rejects(sandbox.createCodeContext({ cwd: '/no/such' }))
  })

  test(name('a timeout interrupts the code'), async () => {
    await assert.rejects(run('import time\nkept = 1\ntime.sleep(600)', { timeoutMs: 1500 }), /timed out/i)
    assert.equal((await run('kept')).text, '1')
  })

  test(name('unicode, split anywhere'), async () => {
    const r = await run("print('é漢😀' * 50000)\n'😀'")
    assert.equal(r.logs.stdout.join(''), 'é漢😀'.repeat(50000) + '\n')
    assert.equal(r.text, '😀')
  })

  test(name('javascript, typescript and bash'), async () => {
    const js = { language: 'javascript' }
    assert.equal((await run('const a = 20; a * 2', js)).text, '40')
    assert.equal((await run('const a = await Promise.resolve(21); a', js)).text, '21')
    assert.deepEqual((await run("console.log('é', process.env.GLOBAL, process.env.A); throw new TypeError('no')", { ...js, envs: { A: 'b' } })).logs.stdout, ['é g b\n'])
    assert.deepEqual((await run("throw new TypeError('no')", js)).error.name, 'TypeError')
    await assert.rejects(run('for (;;) {}', { ...js, timeoutMs: 1500 }), /timed out/i)
    assert.equal((await run('a', js)).text, '21')
    assert.equal((await run('enum E { A = 3 } const n: number = E.A; n', { language: 'ts' })).text, '3')
    const sh = { language: 'bash' }
    assert.deepEqual((await run("cd /tmp; V=5; echo \"$GLOBAL $A é\"", { ...sh, envs: { A: "q'" } })).logs.stdout, ["g q' é\n"])
    const second = await run('pwd; echo $V[$A]; echo e >&2; (exit 3)', sh)
    assert.deepEqual([second.logs.stdout.join(''), second.logs.stderr.join('')], ['/tmp\n5[]\n', 'e\n'])
    assert.deepEqual([second.error.name, second.error.value], ['ExitStatus', '3'])
    await assert.rejects(run('while true; do sleep 1; done', { ...sh, timeoutMs: 1500 }), /timed out/i)
    assert.equal((await run('echo $V', sh)).logs.stdout.join(''), '5\n')
  })

  test(name('a kernel that is killed is told and replaced'), async () => {
    const gone = await run('gone = 1\nimport os\nos.kill(os.getpid(), 9)')
    assert.equal(gone.error.name, 'UnexpectedEndOfExecution')
    assert.match(gone.error.value, /signal 9/)
    assert.equal((await run('gone')).error.name, 'NameError')
  })

  // The rest costs memory and time, and does not depend on the client.
  test(name('50 MB of output, in little memory'), { skip: !isFirst && 'shown with the other client' }, async () => {
    let length = 0
    const r = await run("print('x' * 50_000_000)", { onStdout: (o) => { length += o.line.length } })
    assert.equal(length, 50_000_001)
    assert.equal(r.error, undefined)
    const { stdout } = await sandbox.commands.run("grep VmHWM /proc/$(pgrep -x sandlot-interpr)/status | tr -dc 0-9")
    assert.ok(Number(stdout) <= 16 << 10, `${stdout} kB`)
    const rest = await sandbox.commands.run("grep VmRSS /proc/$(pgrep -x sandlot-interpr)/status | tr -dc 0-9")
    assert.ok(Number(rest.stdout) <= 6 << 10, `${rest.stdout} kB`)
  })

  test(name('a kernel that runs out of memory is told and replaced'), { skip: !isFirst && 'shown with the other client' }, async () => {
    const r = await run("kept = []\nwhile True: kept.append(bytearray(b'x' * (32 << 20)))")
    assert.equal(r.error?.name, 'UnexpectedEndOfExecution')
    assert.equal((await run('1+1')).text, '2')
  })

  test(name('20 contexts at once'), { skip: !isFirst && 'shown with the other client' }, async () => {
    const contexts = []
    for (let i = 0; i < 20; i++) contexts.push(await sandbox.createCodeContext({ language: i % 2 ? 'bash' : 'javascript', requestTimeoutMs: 120_000 }))
    const all = await Promise.all(contexts.map((context, i) => run(i % 2 ? `V=${i}; echo $V` : `var v = ${i}; console.log(v)`, { context })))
    assert.deepEqual(all.map((r) => r.logs.stdout.join('')), contexts.map((_, i) => `${i}\n`))
    await Promise.all(contexts.map((context) => sandbox.removeCodeContext(context)))
  })

  test(name('sandlot run: in a sandbox of its own, and in this one'), { skip: !isFirst && 'shown with the other client' }, async () => {
    const places = [`--data_dir=${server.dir}/data`, `--run_dir=${server.dir}/run`]
    const dir = `${server.dir}/plots`
    mkdirSync(dir)
    const cli = (code, ...args) => spawnSync(binary, ['run', '-', `--output=${dir}`, ...args, ...places], { input: code, encoding: 'utf8', timeout: 240_000 })
    const boxes = async () => (await (await fetch(`${server.url}/v2/sandboxes`, { headers: { 'X-API-Key': server.key } })).json()).map((b) => b.sandboxID)
    const own = cli(plot("import os, sys\nplt.plot([1, 2])\nprint(os.environ['A'], 'é😀')\nprint('e', file=sys.stderr)"), '--env', 'A=b=c')
    assert.equal(own.status, 0, own.stderr)
    assert.match(own.stdout, /^b=c é😀\n/)
    assert.match(own.stderr, /^e\n/)
    assert.deepEqual(readdirSync(dir), ['result-1.png'])
    assert.equal(readFileSync(`${dir}/result-1.png`).subarray(1, 4).toString(), 'PNG')
    assert.deepEqual(await boxes(), [sandbox.sandboxId])

    const here = `--sandbox=${sandbox.sandboxId}`
    await run('of_sdk = 41')
    assert.deepEqual([cli('of_sdk + 1', here).stdout, cli('import os; os.getcwd()', here, '--cwd=/tmp').stdout], ['42\n', '/tmp\n'])
    const failed = cli('1/0', here)
    assert.equal(failed.status, 1)
    assert.match(failed.stderr, /Traceback[^]*ZeroDivisionError/)
    assert.ok(!failed.stderr.includes('\x1b'))
    assert.deepEqual(cli('echo $((40 + 2))', here, '--lang=bash').stdout, '42\n')
    assert.match(cli('1', here, '--lang=cobol').stderr, /Unsupported language 'cobol', known are: python, /)
    assert.match(cli('import time; time.sleep(600)', here, '--timeout=2s').stderr, /more than 2 s/)
    assert.equal((await run('of_sdk')).text, '41', 'it was stopped, and its context goes on')

    const child = spawn(binary, ['run', '-', ...places], { stdio: ['pipe', 'pipe', 'inherit'] })
    const ended = new Promise((resolve) => child.once('exit', resolve))
    let seen = ''
    child.stdout.on('data', (data) => { seen += data })
    child.stdin.end("print('begun', flush=True)\nwhile True: pass\n")
    await until('output before the end', () => seen === 'begun\n', 120_000)
    assert.equal((await boxes()).length, 2)
    child.kill('SIGINT')
    assert.equal(await ended, 130)
    assert.deepEqual(await boxes(), [sandbox.sandboxId])
  })

  test(name('the end'), async () => {
    await sandbox.kill()
  })

  // Of those launched ahead of need, in which the service and its Python run before anybody asks.
  test(name('what ran ahead is each one\'s own'), { skip: !isFirst && 'shown with the other client' }, async () => {
    const code = "import os, socket\n[os.environ.get('WORD'), os.environ.get('E2B_SANDBOX_ID'), socket.gethostname(), globals().get('mine')]"
    const ready = () => servicesAhead().filter((pid) => children(pid).some(hasThreads))
    const create = async (word) => {
      const box = await Sandbox.create({ envs: { WORD: word }, requestTimeoutMs: 120_000 })
      const r = await box.runCode(code, LONG)
      assert.deepEqual([r.error, r.text, r.executionCount], [undefined, `['${word}', '${box.sandboxId}', '${box.sandboxId}', None]`, 1])
      await box.runCode('mine = 1', LONG)
      const headers = { 'E2b-Sandbox-Id': box.sandboxId, 'E2b-Sandbox-Port': '49983' }
      assert.equal((await fetch(`${server.url}/envs`, { headers })).status, 401, 'nobody without its token')
      return box
    }
    await (await Sandbox.create({ requestTimeoutMs: 120_000 })).kill() // from now on the template is in use
    await until('a kernel ahead', () => ready().length >= 1, 120_000)
    const before = ready()
    const one = await create('one')
    assert.ok(before.some((pid) => nameOf(pid) === one.sandboxId), 'it was there before it was asked for')

    // Neither a kernel that died while it waited is met, nor a service.
    await until('another ahead', () => ready().length >= 1, 120_000)
    const waiting = ready()
    await sleep(1000) // until its service has heard it, too
    const killed = waiting.flatMap(children)
    for (const pid of killed) process.kill(Number(pid), 'SIGKILL')
    await until('other kernels', () => waiting.every((pid) => children(pid).some((kernel) => !killed.includes(kernel))), 120_000)
    const two = await create('two')
    assert.ok(waiting.some((pid) => nameOf(pid) === two.sandboxId))

    await until('one more', () => servicesAhead().length >= 1, 120_000)
    for (const pid of servicesAhead()) process.kill(Number(pid), 'SIGKILL')
    const three = await create('three')
    await Promise.all([one, two, three].map((box) => box.kill()))
  })
}
