// SPDX-License-Identifier: Apache-2.0
// The JavaScript and TypeScript kernel. The code is evaluated by V8's own console: `await` at the top
// level, `const` of an earlier cell may be declared anew, the value of the last expression is the result.
// Requests: JSON lines on 0; events: JSON lines on 3 (../pipes.c). An interrupt is a SIGINT.
import module, { createRequire } from 'node:module'
import { Session } from 'node:inspector'
import { spawnSync } from 'node:child_process'
import { pathToFileURL } from 'node:url'
import fs from 'node:fs'
import path from 'node:path'
import util from 'node:util'
import vm from 'node:vm'

const EVENTS = 3
const language = process.argv[2]
const OURS = "globalThis[Symbol.for('sandlot')]" // what rewritten code finds us by

function send(event) {
  const bytes = Buffer.from(JSON.stringify(event) + '\n')
  for (let at = 0; at < bytes.length; ) at += fs.writeSync(EVENTS, bytes, at)
}

// What the code sees.

function bundleOf(value) {
  const own = value?.[Symbol.for('Jupyter.display')] ?? value?.toMimeBundle
  if (typeof own === 'function') return own.call(value)
  const data = { 'text/plain': typeof value === 'string' ? value : util.inspect(value) }
  if (value && typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
    try {
      data['application/json'] = JSON.parse(JSON.stringify(value))
    } catch {} // circular, or a BigInt: text alone
  }
  return data
}

function errorOf(error) {
  if (error instanceof Error || util.types.isNativeError(error)) {
    return { name: String(error.name), value: String(error.message), traceback: String(error.stack ?? error) }
  }
  return { name: 'Error', value: util.inspect(error), traceback: util.inspect(error) }
}

const display = (data) => send({ type: 'result', main: false, data })
const require = createRequire(path.join(process.cwd(), 'cell.js'))

function load(name) {
  if (name.startsWith('.')) return import(pathToFileURL(path.resolve(name)).href)
  if (module.isBuiltin(name)) return import(name)
  try {
    return import(pathToFileURL(require.resolve(name)).href) // from where the code is, not from here
  } catch {
    return import(name) // a URL, or the error that says it best
  }
}

const shown = {
  display: (value, type) => display(type ? { [type]: value } : bundleOf(value)),
  $$: {
    mime: display,
    text: (text) => display({ 'text/plain': String(text) }),
    html: (text) => display({ 'text/html': String(text) }),
    svg: (text) => display({ 'image/svg+xml': String(text) }),
    png: (base64) => display({ 'image/png': String(base64) }),
    jpeg: (base64) => display({ 'image/jpeg': String(base64) }),
    json: (value) => display({ 'application/json': value }),
  },
  require,
}
for (const [name, value] of Object.entries(shown)) {
  Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false })
}

const before = new Map() // variables of a request, until it is done

function setVariables(envs, globals) {
  Object.assign(process.env, globals)
  for (const [name, value] of Object.entries(envs)) {
    before.set(name, process.env[name])
    process.env[name] = value
  }
}

function restoreVariables() {
  for (const [name, value] of before) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
  before.clear()
}

// What the interpreter sees.

// `import` declarations are not for scripts; their bindings become variables.
function withoutImports(code) {
  const names = (list) => list.replace(/\bas\b/g, ':')
  return code
    .replace(/^[ \t]*import\s+(?:type\s+)?([\w$*{][^'";]*?)\s+from\s*(['"][^'"\n]+['"])/gm, (_, what, from) => {
      const loaded = `(await ${OURS}.load(${from}))`
      const all = what.match(/^\*\s*as\s+([\w$]+)$/)
      if (all) return `var ${all[1]} = ${loaded}`
      const [, first, rest] = what.match(/^([\w$]+)?\s*,?\s*([\s\S]*)$/)
      const star = rest.match(/^\*\s*as\s+([\w$]+)$/)
      const parts = []
      if (first) parts.push(`${first} = ${loaded}.default`)
      if (star) parts.push(`${star[1]} = ${loaded}`)
      else if (rest) parts.push(`${names(rest)} = ${loaded}`)
      return `var ${parts.join(', ')}`
    })
    .replace(/^[ \t]*import\s*(['"][^'"\n]+['"])/gm, `await ${OURS}.load($1)`)
    .replace(/(?<![\w$.])import\s*\(/g, `${OURS}.load(`)
}

class SyntaxProblem extends SyntaxError {}

function withoutTypes(code) {
  if (typeof module.stripTypeScriptTypes === 'function') {
    try {
      return module.stripTypeScriptTypes(code, { mode: 'transform' })
    } catch (error) {
      throw new SyntaxProblem(error.message)
    }
  }
  const done = spawnSync('esbuild', ['--loader=ts', '--format=esm', '--target=esnext', '--log-level=error'], { input: code })
  if (done.error) throw new SyntaxProblem('this Node.js reads no types, and there is no esbuild')
  if (done.status !== 0) throw new SyntaxProblem(done.stderr.toString().trim())
  return done.stdout.toString()
}

const session = new Session()
session.connect()
let giveUp = () => {} // of the cell that waits for something

const interrupted = { type: 'error', name: 'KeyboardInterrupt', value: 'Execution was interrupted', traceback: '' }

// The first half of a cell runs within this call and is ended by SIGINT; what it awaits comes later.
const begin = new vm.Script(`${OURS}.begin()`)

function evaluate(expression) {
  return new Promise((resolve, reject) => {
    giveUp = () => resolve(null)
    ours.begin = () =>
      session.post('Runtime.evaluate', { expression, replMode: true, awaitPromise: true, objectGroup: 'cell' },
        (error, value) => (error ? (/terminated/.test(error.message) ? resolve(null) : reject(error)) : resolve(value)))
    try {
      begin.runInThisContext({ breakOnSigint: true })
    } catch {
      resolve(null)
    }
  })
}

// A remote value is brought here by a call that gets it as its argument.
function valueOf(remote) {
  if (!remote.objectId) {
    return 'unserializableValue' in remote ? vm.runInThisContext(remote.unserializableValue) : remote.value
  }
  session.post('Runtime.callFunctionOn', {
    objectId: remote.objectId, functionDeclaration: `function () { ${OURS}.value = this }`,
  })
  const { value } = ours
  ours.value = undefined
  return value
}

const ours = { load, value: undefined, begin: undefined }
Object.defineProperty(globalThis, Symbol.for('sandlot'), { value: ours })

async function run(code) {
  const done = await evaluate(withoutImports(language === 'typescript' ? withoutTypes(code) : code))
  if (done === null) {
    send(interrupted)
  } else if (done.exceptionDetails) {
    const { exception, text } = done.exceptionDetails
    send({ type: 'error', ...errorOf(exception ? valueOf(exception) : new Error(text)) })
  } else {
    const value = valueOf(done.result)
    if (value !== undefined) send({ type: 'result', main: true, data: bundleOf(value) })
  }
}

async function execute({ code, envs, globals }) {
  try {
    setVariables(envs, globals)
    await run(code)
  } catch (error) {
    send({ type: 'error', ...errorOf(error) })
  }
  giveUp = () => {}
  restoreVariables()
  session.post('Runtime.releaseObjectGroup', { objectGroup: 'cell' })
  send({ type: 'done', status: 0 })
}

const say = (error) => process.stderr.write(`${util.inspect(error)}\n`) // of code that no cell waits for
process.on('uncaughtException', say)
process.on('unhandledRejection', say)
process.on('SIGINT', () => giveUp())

let rest = ''
const requests = fs.createReadStream(null, { fd: 0, encoding: 'utf8' })
requests.on('data', (text) => {
  const lines = (rest + text).split('\n')
  rest = lines.pop()
  for (const line of lines) execute(JSON.parse(line))
})
requests.on('end', () => process.kill(process.pid, 'SIGKILL')) // the interpreter is gone
send({ type: 'ready' })
