// The code interpreter as a user of its SDK sees it: create, the first runCode, and those that follow in
// the same context; and what its service takes of memory beside its kernels.
//
//   node interpreter.mjs [--n 10] [--warm 100] [--gap 0] [--template code-interpreter-v1] [--checkpoint]
//
// A sandbox may have been launched ahead with its service: those are told apart, by the age of their service. --gap: ms before each
// create, in which the server may do that; a server with runtime.warm_service_mb=0 never does. With --checkpoint from a template that is made of it first and holds its running Python.
// Needs E2B_API_KEY, E2B_API_URL and E2B_SANDBOX_URL. Prints one JSON object.
import { parseArgs } from 'node:util'
import { Sandbox, Template, waitForURL } from 'interpreter-new'

const { values: options } = parseArgs({
  options: {
    n: { type: 'string', default: '10' }, warm: { type: 'string', default: '100' }, gap: { type: 'string', default: '0' },
    template: { type: 'string', default: 'code-interpreter-v1' }, checkpoint: { type: 'boolean', default: false },
  },
})
let from = options.template
if (options.checkpoint) {
  from = `${options.template}-running`
  await Template.build(Template().fromTemplate(options.template).setStartCmd('sleep infinity', waitForURL('http://localhost:49999/health')), from,
    { memoryMB: 1024 })
}

// How long the service runs, in ms. Both times are of the sandbox's own clock, which a checkpoint has from where it was made.
async function serviceAge(sandbox) {
  const { stdout } = await sandbox.commands.run("cut -d' ' -f1 /proc/uptime; awk '{print $22}' /proc/$(pgrep -x sandlot-interpr)/stat")
  const [now, begun] = stdout.split('\n').map(Number)
  return 1000 * now - 10 * begun
}

const creates = { ahead: [], not: [] }, firsts = { ahead: [], not: [] }, warm = []
let rss = 0
for (let i = 0; i < Number(options.n); i++) {
  await new Promise((resolve) => setTimeout(resolve, Number(options.gap)))
  const start = performance.now()
  const sandbox = await Sandbox.create(from)
  const created = performance.now()
  const { text } = await sandbox.runCode('1+1')
  if (text !== '2') throw new Error(`1+1 is ${text}`)
  const done = performance.now()
  const kind = !options.checkpoint && await serviceAge(sandbox) > performance.now() - start + 20 ? 'ahead' : 'not'
  firsts[kind].push(done - created)
  creates[kind].push(created - start)
  for (let k = 0; i === 0 && k < Number(options.warm); k++) {
    const asked = performance.now()
    await sandbox.runCode(`${k}+1`)
    warm.push(performance.now() - asked)
  }
  if (i === 0) {
    const { stdout } = await sandbox.commands.run('grep VmRSS /proc/$(pgrep -x sandlot-interpr)/status | tr -dc 0-9')
    rss = Number(stdout)
  }
  await sandbox.kill()
}
console.log(JSON.stringify({
  bench: 'interpreter', template: from, n: Number(options.n), gap_ms: Number(options.gap),
  create_ms: creates.not, first_run_ms: firsts.not, create_ahead_ms: creates.ahead, first_run_ahead_ms: firsts.ahead,
  warm_run_ms: warm, service_rss_kb: rss,
}))
