// What the tests of `sandlot worker` share: a worker process, and callers of both eras.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { binary, sleep } from './server.mjs'

process.env.OTEL_ENABLED = 'false'
export const KEY = 'e2b_00112233445566778899aabbccddeeff00112233'

export const eras = await Promise.all(['iii-old', 'iii-new'].map(async (name) => ({ name, ...(await import(name)) })))

const toYaml = (config) => Object.entries(config).map(([k, v]) => `${k}: ${JSON.stringify(v)}\n`).join('')

// `config` is an object, or the text of a config.yaml. All that the worker prints is in `output`.
export async function startWorker(engine, config, { key = KEY, flags = [], env = {}, level = 'debug', waits = true } = {}) {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'sandlot-worker-'))
  const file = path.join(dir, 'config.yaml')
  writeFileSync(file, typeof config === 'string' ? config : toYaml(config))
  const child = spawn(binary, ['worker', `--config=${file}`, `--url=${engine.url}`, `--log.level=${level}`, ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, E2B_API_KEY: key, III_WORKER_NAME: '', ...env },
  })
  const worker = {
    child, dir, file, output: '',
    ended: new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal))),
    rssKiB: () => Number(readFileSync(`/proc/${child.pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)[1]),
    async stop(signal = 'SIGTERM') {
      child.kill(signal)
      const timer = setTimeout(() => child.kill('SIGKILL'), 10000)
      const how = await this.ended
      clearTimeout(timer)
      rmSync(dir, { recursive: true, force: true })
      return how
    },
  }
  child.stdout.on('data', (d) => (worker.output += d))
  child.stderr.on('data', (d) => (worker.output += d))
  for (let i = 0; waits && engine.functions.size === 0; i++) {
    if (i > 400 || child.exitCode !== null) throw new Error(`the worker does not register: ${worker.output}`)
    await sleep(25)
  }
  return worker
}

export function caller(era, engine, options = {}) {
  const sdk = era.registerWorker(engine.url, { workerName: `caller-${era.name}-${Math.random()}`, enableMetricsReporting: false, otel: { enabled: false }, ...options })
  const call = (function_id, payload = {}, timeoutMs = 60000) => sdk.trigger({ function_id, payload, timeoutMs })
  // Resolves to the error's { code, message }.
  const refused = async (function_id, payload, timeoutMs) => {
    try {
      const result = await call(function_id, payload, timeoutMs)
      throw new Error(`expected an error, got ${JSON.stringify(result)}`)
    } catch (e) {
      if (!e.code) throw e
      return { code: e.code, message: e.message.replace(/^.*?(\[S\d|\{)/s, '$1') }
    }
  }
  return { sdk, call, refused, close: () => sdk.shutdown() }
}

// A caller of one's own, without a client library: a raw worker of the engine.
export const P = (leaf) => `sandbox::provider::e2b::${leaf}`
