// A headless Chromium through edge: a Vite development server in a sandbox with hot reload over its
// WebSocket, and the pages that edge answers with. wire.md 1.5, 1.8; semantics.md 3.3.
// SANDLOT_CHROMIUM names another browser; SANDLOT_SCREENSHOTS a directory for pictures of the pages.
import test, { after } from 'node:test'
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { chromium } from 'playwright-core'
import { Sandbox } from 'e2b-new'
import { binary } from './server.mjs'
import { leavesNothing, serve } from './guest.mjs'

const program = process.env.SANDLOT_CHROMIUM ?? '/usr/bin/chromium'
const skip = existsSync(program) ? false : `no browser: ${program} (apt-get install chromium)`
const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync']
const server = await serve(['--edge.loops=2'])
const home = mkdtempSync(path.join(os.tmpdir(), 'sandlot-browser-'))
const context = skip ? undefined : await chromium.launchPersistentContext(home, { executablePath: program, args: flags, chromiumSandbox: false })
after(async () => {
  await context?.close()
  rmSync(home, { recursive: true, force: true })
})

const url = (sandbox, port, rest = '/') => `http://${port}-${sandbox}.localhost:${server.port}${rest}`
let sandbox, page

// The directories of a package of this one's node_modules and of all that it needs.
function closure(name, found = new Set()) {
  const dir = path.join('node_modules', name)
  if (found.has(name) || !existsSync(dir)) return found
  found.add(name)
  const { dependencies = {}, optionalDependencies = {} } = JSON.parse(readFileSync(path.join(dir, 'package.json'), 'utf8'))
  for (const needed of Object.keys({ ...dependencies, ...optionalDependencies })) closure(needed, found)
  return found
}

const site = {
  'package.json': '{"type":"module"}',
  'index.html': '<!doctype html><title>site</title><p id="out"></p><script type="module" src="/main.js"></script>',
  'main.js': `import { word } from './word.js'
const out = document.querySelector('#out')
out.textContent = word
if (import.meta.hot) import.meta.hot.accept('./word.js', (m) => { out.textContent = m.word })`,
  'word.js': 'export const word = "first"',
}
const write = (word) => sandbox.files.write('/home/user/site/word.js', `export const word = "${word}"`)
const shows = (word) => page.waitForFunction((w) => document.querySelector('#out')?.textContent === w, word, { timeout: 20000 })

test('a Vite development server in a sandbox loads by its host name', { skip }, async () => {
  sandbox = await Sandbox.create('base')
  const packages = execFileSync('tar', ['-C', 'node_modules', '-cf', '-', ...closure('vite')], { maxBuffer: 1 << 28 })
  await sandbox.files.write('/home/user/site/node_modules/all.tar', new Blob([packages]))
  await sandbox.commands.run('cd site/node_modules && tar -xf all.tar && rm all.tar')
  for (const [name, text] of Object.entries(site)) await sandbox.files.write(`/home/user/site/${name}`, text)
  await sandbox.commands.run('cd site && exec node node_modules/vite/bin/vite.js --host 127.0.0.1 --strictPort', { background: true, timeoutMs: 0 })
  page = await context.newPage()
  const sockets = []
  page.on('websocket', (ws) => sockets.push(ws))
  for (let left = 100; ; left--) {
    const answer = await page.goto(url(sandbox.sandboxId, 5173))
    if (answer.status() === 200) break
    assert.ok(answer.status() === 502 && left > 0, `${answer.status()} ${await answer.text()}`)
  }
  await shows('first')
  assert.equal(await page.title(), 'site')
  assert.equal(sockets.at(-1)?.url().split('?')[0], `ws://5173-${sandbox.sandboxId}.localhost:${server.port}/`)
})

test('hot reload comes over the WebSocket, and goes on when edge is replaced', { skip }, async () => {
  await page.evaluate(() => { window.mark = 'not loaded again' })
  await write('second')
  await shows('second')
  const out = execFileSync(binary, ['edge', 'restart', `--data_dir=${server.dir}/data`, `--run_dir=${server.dir}/run`], { encoding: 'utf8' })
  assert.match(out, /a new edge serves/)
  await write('third')
  await shows('third')
  assert.equal(await page.evaluate(() => window.mark), 'not loaded again')
})

// What every page of edge must be: small, whole by itself, readable on a telephone and in the dark.
async function checkPage(name, address, { status, title, says }) {
  const asked = [], complaints = []
  const fresh = await context.newPage()
  fresh.on('request', (r) => asked.push(r.url()))
  fresh.on('pageerror', (e) => complaints.push(String(e)))
  await fresh.setViewportSize({ width: 1000, height: 640 })
  const answer = await fresh.goto(address)
  assert.deepEqual([name, answer.status(), answer.headers()['content-type']], [name, status, 'text/html; charset=utf-8'])
  assert.ok((await answer.body()).length < 8192)
  assert.match(await fresh.title(), title)
  const body = await fresh.innerText('body')
  for (const text of says) assert.ok(body.includes(text), `${name}: no "${text}" in "${body}"`)
  assert.equal(await fresh.locator('h1').count(), 1)
  assert.ok(await fresh.locator('h1').isVisible())
  assert.deepEqual(asked.filter((u) => !u.endsWith('/favicon.ico')), [address])
  assert.deepEqual(complaints, [])
  const picture = async (kind) => process.env.SANDLOT_SCREENSHOTS && fresh.screenshot({ path: path.join(process.env.SANDLOT_SCREENSHOTS, `${name}-${kind}.png`) })
  await picture('light')
  const light = await fresh.evaluate(() => getComputedStyle(document.body).backgroundColor)
  await fresh.emulateMedia({ colorScheme: 'dark' })
  await picture('dark')
  assert.notEqual(await fresh.evaluate(() => getComputedStyle(document.body).backgroundColor), light)
  await fresh.setViewportSize({ width: 340, height: 600 })
  await picture('narrow')
  assert.ok(await fresh.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), `${name}: wider than a telephone`)
  await fresh.close()
}

test('pages of edge: closed port, missing token, no such sandbox', { skip }, async () => {
  const id = sandbox.sandboxId
  await checkPage('closed', url(id, 8123, '/a/path?q=1'), { status: 502, title: /Closed Port/i, says: [id, '8123'] })
  const hidden = await Sandbox.create('base', { network: { allowPublicTraffic: false } })
  await checkPage('token', url(hidden.sandboxId, 8123), { status: 403, title: /Token/i, says: [hidden.sandboxId] })
  await hidden.kill()
  await checkPage('gone', url(hidden.sandboxId, 8123), { status: 502, title: /Not Found/i, says: [hidden.sandboxId] })
})

test('the page of a sandbox that ends says so after a reload', { skip }, async () => {
  await sandbox.kill()
  const answer = await page.goto(url(sandbox.sandboxId, 5173))
  assert.equal(answer.status(), 502)
  assert.match(await page.innerText('body'), /Sandbox Not Found/)
})

leavesNothing(server)
