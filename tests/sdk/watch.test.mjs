// Directories watched by the SDKs: events, directories below, entries, ends. wire.md 3.8.
import test from 'node:test'
import assert from 'node:assert/strict'
import { sleep, until } from './server.mjs'
import { generations, leavesNothing, serve, unary } from './guest.mjs'

const server = await serve()
const service = 'filesystem.Filesystem/'

for (const { name: generation, Sandbox, FileNotFoundError, NotFoundError, InvalidArgumentError, TimeoutError, FilesystemEventType: Type } of generations) {
  const name = (what) => `${generation}: ${what}`
  let sandbox

  // A watch that keeps what it sees; the last words of its stream are in `exits`.
  async function watch(dir, options = {}) {
    const seen = { events: [], exits: [] }
    const handle = await sandbox.files.watchDir(dir, (e) => { seen.events.push(e) }, { onExit: (error) => { seen.exits.push(error) }, ...options })
    seen.has = (type, file) => seen.events.some((e) => e.type === type && e.name === file)
    seen.sees = (type, file) => until(`${type} ${file}, not only ${JSON.stringify(seen.events)}`, () => seen.has(type, file))
    seen.stop = () => handle.stop()
    return seen
  }

  test(name('create'), async () => {
    sandbox = await Sandbox.create('base')
  })

  test(name('watchDir tells of every kind of change, in order'), async () => {
    await sandbox.files.makeDir('w')
    const w = await watch('w')
    await sandbox.files.write('w/a.txt', 'one')
    await w.sees(Type.WRITE, 'a.txt')
    await sandbox.files.write('w/a.txt', 'two')
    await sandbox.commands.run('chmod 600 w/a.txt')
    await w.sees(Type.CHMOD, 'a.txt')
    await sandbox.files.rename('w/a.txt', 'w/b.txt')
    await w.sees(Type.CREATE, 'b.txt')
    await sandbox.files.remove('w/b.txt')
    await w.sees(Type.REMOVE, 'b.txt')
    const order = w.events.map((e) => `${e.type} ${e.name}`)
    assert.equal(order[0], `${Type.CREATE} a.txt`)
    assert.equal(order.at(-1), `${Type.REMOVE} b.txt`)
    assert.equal(order.indexOf(`${Type.CREATE} b.txt`) - order.indexOf(`${Type.RENAME} a.txt`), 1)
    assert.ok(w.events.every((e) => e.entry === undefined))
    await w.stop()
    await until('the end is told', () => w.exits.length === 1)
    const count = w.events.length
    await sandbox.files.write('w/late.txt', '')
    await sleep(100)
    assert.equal(w.events.length, count)
  })

  test(name('watchDir alone does not look below; recursive does, also in what comes later'), async () => {
    await sandbox.commands.run('mkdir -p tree/old/deep')
    const flat = await watch('tree'), deep = await watch('tree', { recursive: true })
    await sandbox.files.write('tree/old/deep/f', 'x')
    await deep.sees(Type.WRITE, 'old/deep/f')
    await sandbox.commands.run('mkdir -p tree/new/a/b && echo x >tree/new/a/b/f && mv tree/new tree/renamed && echo >tree/renamed/a/b/g; echo >tree/end')
    await deep.sees(Type.WRITE, 'end')
    await deep.sees(Type.CREATE, 'renamed/a/b/g')
    for (const file of ['new', 'renamed']) assert.ok(deep.has(Type.CREATE, file), file)
    assert.ok(deep.has(Type.RENAME, 'new'))
    assert.ok(['new', 'renamed'].some((dir) => deep.has(Type.CREATE, `${dir}/a/b/f`)), JSON.stringify(deep.events))
    await flat.sees(Type.WRITE, 'end')
    assert.ok(flat.events.every((e) => !e.name.includes('/')), JSON.stringify(flat.events))
    await Promise.all([flat.stop(), deep.stop()])
  })

  test(name('includeEntry adds what the entry is, where there is one'), async () => {
    await sandbox.files.makeDir('entries')
    const w = await watch('entries', { includeEntry: true })
    await sandbox.files.write('entries/f', '12345')
    await w.sees(Type.WRITE, 'f')
    await sandbox.files.remove('entries/f')
    await w.sees(Type.REMOVE, 'f')
    const created = w.events.find((e) => e.type === Type.CREATE), removed = w.events.find((e) => e.type === Type.REMOVE)
    assert.equal(created.entry.path, '/home/user/entries/f')
    assert.equal(created.entry.type, 'file')
    assert.equal(removed.entry, undefined)
    await w.stop()
  })

  test(name('names with blanks, quotes, line breaks, wide characters'), async () => {
    await sandbox.files.makeDir('odd')
    const w = await watch('odd')
    for (const odd of [' a b ', `'"\``, 'line\nbreak', 'žluť 🐎', '-rf', 'x'.repeat(255)]) {
      await sandbox.files.write(`odd/${odd}`, '')
      await w.sees(Type.CREATE, odd)
    }
    await w.stop()
  })

  test(name('what cannot be watched'), async () => {
    await sandbox.files.write('file', '')
    await assert.rejects(watch('no/such'), (e) => e instanceof (FileNotFoundError ?? NotFoundError) && /not found/.test(e.message))
    await assert.rejects(watch('file'), (e) => e instanceof InvalidArgumentError && /not a directory/.test(e.message))
    await assert.rejects(watch('~root'), InvalidArgumentError)
  })

  test(name('the deadline and the end of the directory are told'), async () => {
    await sandbox.files.makeDir('short')
    const timed = await watch('short', { timeoutMs: 500 })
    await until('the deadline', () => timed.exits.length === 1)
    assert.ok(timed.exits[0] instanceof TimeoutError, String(timed.exits[0]))
    const w = await watch('short', { timeoutMs: 0 })
    await sandbox.files.remove('short')
    await until('the end', () => w.exits.length === 1)
    assert.ok(w.has(Type.REMOVE, '.'))
    assert.match(String(w.exits[0]), /was removed/)
  })

  test(name('twenty watches of one tree, a thousand files'), async () => {
    await sandbox.files.makeDir('busy')
    const all = await Promise.all(Array.from({ length: 20 }, () => watch('busy', { recursive: true })))
    await sandbox.commands.run('cd busy; for i in $(seq 10); do mkdir d$i; for k in $(seq 100); do echo >d$i/$k; done; done; echo >end')
    for (const w of all) {
      await w.sees(Type.CREATE, 'end')
      await until('all are told', () => w.events.filter((e) => e.type === Type.CREATE && /\//.test(e.name)).length >= 1000, 10000)
      const created = new Set(w.events.filter((e) => e.type === Type.CREATE).map((e) => e.name))
      assert.equal(created.size, 1011)
      await w.stop()
    }
  })

  test(name('polled, as the synchronous Python SDK does'), async () => {
    await sandbox.files.makeDir('polled')
    const { body: { watcherId } } = await unary(server, sandbox, service + 'CreateWatcher', { path: 'polled' }, 'user')
    assert.match(watcherId, /^w[a-z0-9]{20}$/)
    await sandbox.files.write('polled/f', 'x')
    const told = []
    await until('both events', async () => {
      const { body } = await unary(server, sandbox, service + 'GetWatcherEvents', { watcherId })
      told.push(...body.events.filter((e) => e.type !== 'EVENT_TYPE_CHMOD')) // the upload also sets the owner
      return told.length >= 2
    })
    assert.deepEqual(told.slice(0, 2), [{ name: 'f', type: 'EVENT_TYPE_CREATE' }, { name: 'f', type: 'EVENT_TYPE_WRITE' }])
    await until('all are told once', async () => // the CHMOD may still come
      (await unary(server, sandbox, service + 'GetWatcherEvents', { watcherId })).body.events.length === 0)
    assert.deepEqual(await unary(server, sandbox, service + 'RemoveWatcher', { watcherId }), { status: 200, body: {} })
    assert.equal((await unary(server, sandbox, service + 'GetWatcherEvents', { watcherId })).status, 404)
  })

  test(name('kill'), async () => {
    await watch('.', { recursive: true, timeoutMs: 0 })
    assert.equal(await sandbox.kill(), true)
  })
}

leavesNothing(server)
