// SPDX-License-Identifier: Apache-2.0
// Network options of the published clients; run by sdk_test.py in a small internet: WEB and WEB2 are web servers there.
import test from 'node:test'
import assert from 'node:assert/strict'

const { WEB, WEB2 } = process.env
const common = { apiKey: process.env.E2B_API_KEY }

async function gets(sandbox, url) {
  const done = await sandbox.commands.run(`curl -sS -m 5 ${url} || true`)
  return done.stdout.includes(' sees ')
}

for (const name of ['e2b-old', 'e2b-new']) {
  const { Sandbox, ALL_TRAFFIC } = await import(name)

  async function withSandbox(opts, fn) {
    const sandbox = await Sandbox.create('base', { ...common, ...opts })
    try {
      await fn(sandbox)
    } finally {
      await sandbox.kill()
    }
  }

  test(`${name}: internet is there by default, and absent with allowInternetAccess: false`, async () => {
    await withSandbox({}, async (s) => assert.ok(await gets(s, `http://${WEB}/`)))
    await withSandbox({ allowInternetAccess: false }, async (s) => {
      assert.ok(!(await gets(s, `http://${WEB}/`)))
      assert.ok(!(await gets(s, 'http://web.test/')))
    })
  })

  test(`${name}: network.allowOut and denyOut at create`, async () => {
    const all = ALL_TRAFFIC ?? '0.0.0.0/0'
    await withSandbox({ network: { denyOut: [WEB] } }, async (s) => {
      assert.ok(!(await gets(s, `http://${WEB}/`)))
      assert.ok(await gets(s, `http://${WEB2}/`))
    })
    await withSandbox({ network: { denyOut: [all], allowOut: [WEB, 'x.two.test'] } }, async (s) => {
      assert.ok(await gets(s, `http://${WEB}/`))
      assert.ok(await gets(s, 'http://x.two.test/'))
      assert.ok(!(await gets(s, `http://${WEB2}/`)))
      const info = await s.getInfo()
      if (info.network !== undefined) assert.deepEqual(info.network.allowOut, [WEB, 'x.two.test'])
    })
    await assert.rejects(Sandbox.create('base', { ...common, network: { allowOut: ['web.test'] } }), /denyOut|deny/i)
  })

  test(`${name}: updateNetwork replaces all of it on a running sandbox`, async () => {
    await withSandbox({ network: { denyOut: [WEB] } }, async (s) => {
      await s.updateNetwork({ denyOut: [WEB2] })
      assert.ok(await gets(s, `http://${WEB}/`))
      assert.ok(!(await gets(s, `http://${WEB2}/`)))
      await s.updateNetwork({ allowInternetAccess: false })
      assert.ok(!(await gets(s, `http://${WEB}/`)))
      await Sandbox.updateNetwork(s.sandboxId, { denyOut: ({ allTraffic }) => [allTraffic], allowOut: ['web.test'] }, common)
      assert.ok(await gets(s, 'http://web.test/'))
      assert.ok(!(await gets(s, `http://${WEB}/`)))
      await s.updateNetwork({})
      assert.ok(await gets(s, `http://${WEB2}/`))
    })
  })
}
