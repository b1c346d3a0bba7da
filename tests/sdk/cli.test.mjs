// The official CLI as a person or a script uses it: its own program, environment variables and nothing else.
import test, { after } from 'node:test'
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, existsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { startServer, until } from './server.mjs'

const server = await startServer()
after(() => server.stop())

const cli = path.resolve('node_modules/@e2b/cli/dist/index.js')
const home = path.join(server.dir, 'home') // the tester's own login must not count
mkdirSync(home)
const env = {
  PATH: `${path.dirname(process.execPath)}:${process.env.PATH}`, HOME: home, TZ: 'UTC', NO_COLOR: '1', TERM: 'xterm', ...server.env,
}

// Runs the CLI to its end. `input` is piped; undefined: an empty input, as from cron.
async function e2b(args, { input = '', more = {} } = {}) {
  const child = spawn(process.execPath, [cli, ...args], { env: { ...env, ...more } })
  const timer = setTimeout(() => child.kill('SIGKILL'), args[1] === 'create' ? 120000 : 30000) // it may build
  const out = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr']) child[name].setEncoding('utf8').on('data', (d) => (out[name] += d))
  child.stdin.on('error', () => {}).end(input)
  out.code = await new Promise((resolve) => child.once('close', (code, signal) => resolve(code ?? signal)))
  clearTimeout(timer)
  return out
}

async function ok(args, options) {
  const r = await e2b(args, options)
  assert.equal(r.code, 0, `e2b ${args.join(' ')}: ${r.stdout}${r.stderr}`)
  return r.stdout
}

const create = async (...args) => (await ok(['sandbox', 'create', 'base', '--detach', ...args])).trim()
const listed = async (...args) => JSON.parse(await ok(['sandbox', 'list', '--format', 'json', ...args]))

// The CLI at a terminal of its own. `say` is called with all output so far and types what it returns.
async function terminal(args, say) {
  const command = [process.execPath, cli, ...args].map((a) => `'${a}'`).join(' ')
  const child = spawn('script', ['-qec', command, '/dev/null'], { env, stdio: ['pipe', 'pipe', 'inherit'] })
  const timer = setTimeout(() => child.kill('SIGKILL'), 30000)
  let text = ''
  child.stdin.on('error', () => {})
  child.stdout.setEncoding('utf8').on('data', (d) => {
    text += d
    const typed = say(text)
    if (typed) child.stdin.write(typed)
  })
  const code = await new Promise((resolve) => child.once('close', resolve))
  clearTimeout(timer)
  return { code, text }
}

// Types each line when the answer to the one before was seen, starting with the prompt.
function conversation(...turns) {
  return (text) => turns.length > 0 && turns[0][0].test(text) && turns.shift()[1]
}

let id

test('sandbox list: nothing yet', async () => {
  assert.equal(await ok(['sandbox', 'list']), 'No sandboxes found\n')
  assert.deepEqual(await listed(), [])
})

test('sandbox create --detach: prints the id and leaves it running', async () => {
  id = await create('--timeout', '120')
  assert.match(id, /^i[a-z0-9]{20}$/)
})

test('sandbox list: table and json, filters and order', async () => {
  const [line] = (await ok(['sandbox', 'list'])).split('\n').filter((l) => l.includes(id))
  assert.match(line, /\bbase\b.*\bRunning\b.*\b1024\b/)
  const [one] = await listed()
  assert.deepEqual([one.sandboxId, one.templateId, one.state, one.cpuCount], [id, 'base', 'running', 2])
  assert.equal(new Date(one.endAt) - new Date(one.startedAt), 120000)
  const second = await create()
  const ids = async (...args) => (await listed(...args)).map((s) => s.sandboxId)
  assert.deepEqual(await ids('--order', 'desc'), [second, id])
  assert.deepEqual(await ids('--order', 'asc'), [id, second])
  assert.deepEqual(await ids('--limit', '1'), [second])
  assert.deepEqual(await ids('--state', 'paused'), [])
  assert.deepEqual(await ids('--template', 'base', '--metadata', 'a=b'), [])
  assert.equal(await ok(['sandbox', 'kill', second]), `Sandbox ${second} has been killed\n`)
})

test('sandbox info: text and json', async () => {
  const text = await ok(['sandbox', 'info', id])
  assert.match(text, new RegExp(`Sandbox ID: ${id}\n`))
  assert.match(text, /State: running\n/)
  const info = JSON.parse(await ok(['sandbox', 'info', id, '--format', 'json']))
  assert.deepEqual([info.sandboxId, info.memoryMB, info.lifecycle.onTimeout], [id, 1024, 'kill'])
})

test('sandbox exec: stdout, stderr and exit code', async () => {
  const r = await e2b(['sandbox', 'exec', id, 'echo out; echo err >&2; exit 3'])
  assert.deepEqual([r.code, r.stdout], [3, 'out\n'])
  assert.match(r.stderr, /^err\n/)
  assert.equal((await e2b(['sandbox', 'exec', id, 'true'])).code, 0)
  assert.equal((await e2b(['sandbox', 'exec', id, 'kill -9 $$'])).code, 255) // exitCode -1: a signal
  assert.equal(await ok(['sandbox', 'exec', id, '--', 'printf', '%s|', 'a b', 'c']), 'a b|c|')
})

test('sandbox exec: user, directory and environment', async () => {
  const args = ['sandbox', 'exec', '-u', 'root', '-c', '/tmp', '-e', 'WORD=w', id, 'id -un; pwd; echo $WORD']
  assert.equal(await ok(args), 'root\n/tmp\nw\n')
})

test('sandbox exec: piped input, also more than one piece of it', async () => {
  assert.equal(await ok(['sandbox', 'exec', id, 'tr a-z A-Z'], { input: 'one\ntwo\n' }), 'ONE\nTWO\n')
  const input = 'x'.repeat(99).concat('\n').repeat(3000) // 300 kB, sent in 64 KiB pieces
  assert.equal((await ok(['sandbox', 'exec', id, 'wc -c'], { input })).trim(), String(input.length))
})

test('sandbox exec --background: returns at once, the command goes on', async () => {
  await ok(['sandbox', 'exec', '--background', id, 'sleep 0.3; echo later >/tmp/mark'])
  await until('mark', async () => (await e2b(['sandbox', 'exec', id, 'cat /tmp/mark'])).stdout === 'later\n')
})

test('sandbox connect: a shell at a terminal, and the sandbox stays', async () => {
  const { text } = await terminal(['sandbox', 'connect', id], conversation(
    [/\$ $/, 'tty; echo sum=$((20+3)) $TERM\r'],
    [/sum=23[\s\S]*\$ $/, 'exit\r'],
  ))
  assert.match(text, /\/dev\/pts\/\d+/)
  assert.match(text, /sum=23 xterm/)
  assert.deepEqual((await listed()).map((s) => s.sandboxId), [id])
})

test('sandbox create: a shell at a terminal, and the sandbox ends with it', async () => {
  const { text } = await terminal(['sandbox', 'create', 'base'], conversation(
    [/\$ $/, 'echo $E2B_SANDBOX_ID=$((40+2))\r'],
    [/=42[\s\S]*\$ $/, 'exit\r'],
  ))
  const made = text.match(/(i[a-z0-9]{20})=42/)?.[1]
  assert.ok(made, text)
  await until('the new sandbox ends', async () => !(await listed()).some((s) => s.sandboxId === made))
})

test('template list: table and json', async () => {
  const [line] = (await ok(['template', 'list'])).split('\n').filter((l) => /\bbase\b/.test(l))
  assert.match(line, /^Public +base +base +2 +1024 /)
  const [base] = JSON.parse(await ok(['template', 'list', '--format', 'json'])).filter((t) => t.templateID === 'base')
  assert.ok(base.spawnCount >= 3)
  assert.ok(Math.abs(Date.now() - new Date(base.lastSpawnedAt)) < 120000)
})

test('template create, list, publish, delete: a Dockerfile becomes a template, public when it is published', async () => {
  const dir = path.join(server.dir, 'dockerfile')
  mkdirSync(dir)
  writeFileSync(path.join(dir, 'sent.txt'), 'sent\n')
  writeFileSync(path.join(dir, 'Dockerfile'), 'FROM e2bdev/base\nCOPY sent.txt /srv/sent.txt\nRUN cp /srv/sent.txt /srv/copy.txt\nENV MADE=cli\n')
  const said = await ok(['template', 'create', 'made-by-cli', '--path', dir, '--cpu-count', '1', '--memory-mb', '512'])
  assert.match(said, /made-by-cli/)
  const rows = async () => JSON.parse(await ok(['template', 'list', '--format', 'json']))
  const made = (await rows()).find((t) => t.aliases.includes('made-by-cli'))
  assert.deepEqual([made.cpuCount, made.memoryMB, made.public, made.buildStatus], [1, 512, false, 'ready'])
  const box = (await ok(['sandbox', 'create', 'made-by-cli', '--detach'])).trim()
  assert.equal(await ok(['sandbox', 'exec', box, 'cat /srv/copy.txt; echo $MADE']), 'sent\ncli\n')
  assert.match((await e2b(['template', 'delete', '-y', made.templateID])).stderr, /sandboxes using it/)
  await ok(['sandbox', 'kill', box])
  await ok(['template', 'publish', '-y', 'made-by-cli'])
  assert.equal((await rows()).find((t) => t.templateID === made.templateID).public, true)
  writeFileSync(path.join(dir, 'Dockerfile'), 'FROM e2bdev/base\nRUN echo it is broken; exit 3\n')
  const failed = await e2b(['template', 'create', 'made-by-cli', '--path', dir])
  assert.notEqual(failed.code, 0)
  assert.match(failed.stdout + failed.stderr, /exit code 3/)
  await ok(['template', 'delete', '-y', made.templateID])
  assert.equal((await rows()).some((t) => t.templateID === made.templateID), false)
  assert.notEqual((await e2b(['template', 'delete', '-y', made.templateID])).code, 0)
})

test('sandbox pause: a paused sandbox is listed as such, and connects again', async () => {
  await ok(['sandbox', 'pause', id])
  assert.match(await ok(['sandbox', 'list', '--state', 'paused']), new RegExp(id))
  await ok(['sandbox', 'resume', id])
  assert.equal((await ok(['sandbox', 'exec', id, 'echo awake'])).trim(), 'awake')
})

test('mistakes: unknown template, unknown sandbox, wrong key', async () => {
  assert.match((await e2b(['sandbox', 'create', 'nope', '--detach'])).stderr, /404: template 'nope' not found/)
  assert.match((await e2b(['sandbox', 'info', 'i' + '0'.repeat(20)])).stderr, /wasn't found/)
  const r = await e2b(['sandbox', 'list'], { more: { E2B_API_KEY: 'e2b_' + '0'.repeat(40) } })
  assert.notEqual(r.code, 0)
  assert.match(r.stderr, /AuthenticationError.*Invalid API key/)
})

test('sandbox kill: by id, again, and --all', async () => {
  assert.equal(await ok(['sandbox', 'kill', id]), `Sandbox ${id} has been killed\n`)
  assert.match((await e2b(['sandbox', 'kill', id])).stderr, /wasn't found/)
  assert.match((await e2b(['sandbox', 'exec', id, 'true'])).stderr, /NotFound/)
  const two = [await create(), await create()]
  const said = await ok(['sandbox', 'kill', '--all'])
  for (const one of two) assert.match(said, new RegExp(one))
  assert.deepEqual(await listed(), [])
  assert.equal(await ok(['sandbox', 'kill', '--all']), 'No running sandboxes\n')
  assert.ok(!existsSync(path.join(home, '.e2b')), 'environment variables are enough')
})
