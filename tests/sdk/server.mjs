// A real `sandlot serve` for the tests: own port, own run directory, the shared base template.
import { spawn, execFileSync } from 'node:child_process'
import { mkdtempSync, mkdirSync, readFileSync, rmSync, symlinkSync, existsSync, readdirSync, cpSync, chmodSync } from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'

export const root = process.env.SANDLOT_ROOT ?? path.resolve(import.meta.dirname ?? '.', '../..')
export const binary = process.env.SANDLOT_BIN ?? path.join(root, 'build/release/src/main/sandlot')
const shared = process.env.SANDLOT_TEST_DATA ?? path.join(root, 'build/test-data')

function freePort() {
  return new Promise((resolve) => {
    const s = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = s.address()
      s.close(() => resolve(port))
    })
  })
}

// Two servers must not give the same host ids to their sandboxes; meson gives each test its own.
function ownIds() {
  const base = process.env.SANDLOT_TEST_UID_BASE
  return base ? [`--runtime.uid_base=${base}`, '--runtime.sandboxes_max=500'] : []
}

// Template trees are only read, so every server uses the one that was made once.
function prepareData(dir) {
  mkdirSync(path.join(dir, 'templates'), { recursive: true })
  cpSync(path.join(shared, 'templates'), path.join(dir, 'templates'), { recursive: true })
  symlinkSync(path.join(shared, 'rootfs'), path.join(dir, 'rootfs'))
}

// `prepare` may add templates before the server looks. `output` is where all roles write: a descriptor.
export async function startServer(flags = [], prepare = () => {}, output = 'inherit', env = {}) {
  if (!existsSync(path.join(shared, 'templates/base.json'))) throw new Error(`no base template below ${shared}`)
  const dir = mkdtempSync(path.join(os.tmpdir(), 'sandlot-sdk-'))
  chmodSync(dir, 0o711) // the unprivileged roles pass through it
  prepareData(path.join(dir, 'data'))
  prepare(path.join(dir, 'data'))
  const port = await freePort()
  const places = [`--data_dir=${dir}/data`, `--run_dir=${dir}/run`, `--listen=127.0.0.1:${port}`]
  const child = spawn(binary, ['serve', ...places, '--on_exit=kill', '--log.level=warn', '--runtime.checkpoint_probe=off', ...ownIds(), ...flags], {
    stdio: ['ignore', output, output],
    env: { ...process.env, ...env },
  })
  const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)))
  const url = `http://127.0.0.1:${port}`
  for (let i = 0; ; i++) {
    const ok = await fetch(`${url}/health`).then((r) => r.ok, () => false)
    if (ok) break
    if (i > 200 || child.exitCode !== null) throw new Error('the server does not answer')
    await new Promise((r) => setTimeout(r, 25))
  }
  const out = execFileSync(binary, ['key', 'create', 'tests', ...places], { encoding: 'utf8' })
  const key = out.match(/e2b_[0-9a-f]{40}/)[0]
  return {
    url, port, key, dir, child,
    env: { E2B_API_KEY: key, E2B_API_URL: url, E2B_SANDBOX_URL: url },
    // A request to the control plane, past the SDK.
    api(method, path, body) {
      return fetch(url + path, {
        method,
        headers: { 'X-API-Key': key, 'Content-Type': 'application/json' },
        body: body === undefined ? undefined : JSON.stringify(body),
      })
    },
    // Pids of the server's roles by name, read from /proc as a person would with ps.
    rolePid(role) {
      for (const pid of readdirSync('/proc').filter((n) => /^\d+$/.test(n))) {
        try {
          const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
          const parent = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')[1]
          if (args.includes(`role-${role}`) && Number(parent) === child.pid) return Number(pid)
        } catch {}
      }
      return 0
    },
    async stop() {
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), 15000)
      await ended
      clearTimeout(timer)
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

export const sleep = (ms) => new Promise((r) => setTimeout(r, ms))

export async function until(what, claim, ms = 5000) {
  const end = Date.now() + ms
  while (!(await claim())) {
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`)
    await sleep(20)
  }
}
