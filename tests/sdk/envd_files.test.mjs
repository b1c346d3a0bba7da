// Files as the SDKs handle them: every method and its options, odd names, signed URLs with curl, a full
// disk. wire.md 3.6, 3.7, 3.9 to 3.12.
import test from 'node:test'
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { sleep, until } from './server.mjs'
import { generations, headersFor, leavesNothing, serve, unary } from './guest.mjs'

function addSmallTemplate(data) {
  const base = JSON.parse(readFileSync(path.join(data, 'templates/base.json'), 'utf8'))
  writeFileSync(path.join(data, 'templates/small-disk.json'), JSON.stringify({
    ...base, templateID: 'small-disk', aliases: ['small-disk'], names: ['small-disk'], diskSizeMB: 32,
  }))
}

const server = await serve([], addSmallTemplate)

const curl = async (...args) => {
  const { stdout } = await promisify(execFile)('curl', ['-sS', '-w', '\n%{http_code}', ...args], { encoding: 'buffer', maxBuffer: 64 << 20 })
  const at = stdout.lastIndexOf(10)
  return { status: Number(stdout.subarray(at + 1)), body: stdout.subarray(0, at) }
}

const odd = {
  blanks: ' two  blanks ', quotes: `it's "quoted" \`too\``, 'line break': 'two\nlines\r\nand\ttab', wide: 'žluťoučký kůň 🐎 日本語',
  'decomposed form': 'z\u030cluty', query: 'a?b=c&d#e;f%20g+h%', shell: '$(reboot);*?[a]{b,c}!~', dash: '-rf --', backslash: 'back\\slash\\n', dots: '...', longest: 'x'.repeat(255),
}

for (const { name: generation, Sandbox, FileNotFoundError, InvalidArgumentError, NotEnoughSpaceError, NotFoundError, AuthenticationError } of generations) {
  const name = (what) => `${generation}: ${what}`
  const sh = async (command, user) => (await sandbox.commands.run(command, { user })).stdout
  // As a client with a wildcard domain gets them: the host names the sandbox.
  const byHost = (url) => url.replace('127.0.0.1', `49983-${sandbox.sandboxId}.localhost`)
  const uploadUrl = async (...args) => byHost(await sandbox.uploadUrl(...args))
  const downloadUrl = async (...args) => byHost(await sandbox.downloadUrl(...args))
  let sandbox

  test(name('create'), async () => {
    sandbox = await Sandbox.create('base')
  })

  test(name('write takes text, bytes, a Blob and a stream; read gives text, bytes, a Blob and a stream'), async () => {
    const bytes = new Uint8Array(100000).map((_, i) => i * 31)
    const stream = () => new ReadableStream({ start(c) { for (let i = 0; i < 10; i++) c.enqueue(bytes.subarray(i * 10000, (i + 1) * 10000)); c.close() } })
    const sources = { text: 'héllo\r\n\0end', buffer: bytes.buffer, blob: new Blob([bytes]), stream: stream() }
    for (const [kind, data] of Object.entries(sources)) {
      const info = await sandbox.files.write(`w/${kind}`, data)
      assert.deepEqual([info.name, info.path, info.type], [kind, `/home/user/w/${kind}`, 'file'])
    }
    assert.equal(await sandbox.files.read('w/text'), sources.text)
    for (const kind of ['buffer', 'blob', 'stream']) assert.deepEqual(await sandbox.files.read(`w/${kind}`, { format: 'bytes' }), bytes)
    assert.deepEqual(new Uint8Array(await (await sandbox.files.read('w/blob', { format: 'blob' })).arrayBuffer()), bytes)
    const pieces = []
    for await (const piece of await sandbox.files.read('w/stream', { format: 'stream' })) pieces.push(piece)
    assert.deepEqual(new Uint8Array(Buffer.concat(pieces)), bytes)
    assert.equal(await sh('stat -c "%U %G %a" w w/text'), 'user user 755\nuser user 644\n')
  })

  test(name('write as octet-stream, and over a longer file, keeps modes and truncates'), async () => {
    await sandbox.files.write('o', 'a longer text', { useOctetStream: true })
    await sh('chmod 750 o')
    await sandbox.files.write('o', 'short', { useOctetStream: true })
    assert.equal(await sandbox.files.read('o'), 'short')
    await sandbox.files.write('o', '')
    for (const [format, empty] of [['text', ''], ['bytes', new Uint8Array(0)]]) assert.deepEqual(await sandbox.files.read('o', { format }), empty)
    assert.equal((await sandbox.files.read('o', { format: 'blob' })).size, 0)
    assert.equal(await sh('stat -c "%a %s" o'), '750 0\n')
  })

  test(name('gzip: compressed on the way, the same at the end; as octet-stream, text, bytes and stream'), async () => {
    const text = 'the same again and again\n'.repeat(40_000)
    const bytes = new Uint8Array(300_000).map((_, i) => i * i)
    for (const [kind, data, wanted] of [['text', text, Buffer.from(text)], ['bytes', bytes.buffer, bytes], ['empty', '', ''], ['stream', new Blob([bytes]).stream(), bytes]]) {
      assert.equal((await sandbox.files.write(`gz/${kind}`, data, { gzip: true })).path, `/home/user/gz/${kind}`)
      assert.deepEqual(Buffer.from(await sandbox.files.read(`gz/${kind}`, { format: 'bytes', gzip: true })), Buffer.from(wanted))
      assert.deepEqual(Buffer.from(await sandbox.files.read(`gz/${kind}`, { format: 'bytes' })), Buffer.from(wanted))
    }
    assert.equal(await sandbox.files.read('gz/text', { gzip: true }), text)
    assert.equal(await sh('wc -c <gz/text'), `${text.length}\n`)
    const packed = await curl('-H', 'Accept-Encoding: gzip', await downloadUrl('gz/text'))
    assert.deepEqual([...packed.body.subarray(0, 2)], [0x1f, 0x8b])
    assert.ok(packed.body.length < text.length / 10)
    assert.equal(gunzipSync(packed.body).toString(), text)
    const broken = await curl('-H', 'Content-Type: application/octet-stream', '-H', 'Content-Encoding: gzip', '--data-binary', 'not gzip at all', await uploadUrl('gz/broken'))
    assert.equal(broken.status, 400)
    assert.equal(await sandbox.files.exists('gz/broken'), false)
  })

  test(name('write of several files makes their directories; one path twice is refused'), async () => {
    const written = await sandbox.files.write([{ path: 'm/a b/1', data: 'one' }, { path: '/tmp/m ž/2', data: new Uint8Array([1, 2]).buffer }, { path: '~/m/3', data: new Blob(['three']) }])
    assert.deepEqual(written.map((w) => w.path), ['/home/user/m/a b/1', '/tmp/m ž/2', '/home/user/m/3'])
    assert.equal(await sandbox.files.read('m/3'), 'three')
    assert.deepEqual(await sandbox.files.write([]), [])
    const many = Array.from({ length: 300 }, (_, i) => ({ path: `many/${i % 7}/${i}`, data: `${i}` }))
    assert.equal((await sandbox.files.write(many)).length, 300)
    assert.equal(await sh('find many -type f | wc -l; cat many/5/299'), '300\n299')
    if (sandbox.files.writeFiles) assert.equal((await sandbox.files.writeFiles([{ path: 'wf', data: 'x' }]))[0].path, '/home/user/wf')
    await assert.rejects(sandbox.files.write([{ path: 'm/x', data: '1' }, { path: '/home/user/m/x', data: '2' }]), (e) => e instanceof InvalidArgumentError && /same path/.test(e.message))
  })

  test(name('metadata is kept with the file and told by every answer; a new write replaces it'), async () => {
    const metadata = { author: 'me', 'note-1': 'a b; c="d"' }
    assert.deepEqual((await sandbox.files.write('meta', 'x', { metadata })).metadata, metadata)
    assert.deepEqual((await sandbox.files.write('meta-octets', 'x', { metadata, useOctetStream: true })).metadata, metadata)
    assert.deepEqual((await sandbox.files.getInfo('meta')).metadata, metadata)
    assert.deepEqual((await sandbox.files.list('.')).find((e) => e.name === 'meta-octets').metadata, metadata)
    assert.deepEqual((await sandbox.files.rename('meta', 'meta2')).metadata, metadata)
    await sandbox.files.write('meta2', 'y', { metadata: { other: '1' } })
    assert.deepEqual((await sandbox.files.getInfo('meta2')).metadata, { other: '1' })
    await assert.rejects(sandbox.files.write('meta3', 'x', { metadata: { big: 'v'.repeat(5000) } }), InvalidArgumentError)
    assert.equal(await sandbox.files.exists('meta3'), false)
  })

  test(name('getInfo tells what stat would, for every kind of file'), async () => {
    await sh('mkdir -p kinds/dir; cd kinds; printf 12345 >file; chmod 4711 file; ln -s file link; ln -s dir dirlink; ln -s none broken; mkfifo fifo; chmod 1777 dir; touch -d "2001-02-03T04:05:06.789Z" file; ln -s loop2 loop1; ln -s loop1 loop2')
    const info = async (p) => {
      const { type, size, mode, permissions, owner, group, symlinkTarget } = await sandbox.files.getInfo(`kinds/${p}`)
      return [type, size, mode.toString(8), permissions, owner, group, symlinkTarget]
    }
    assert.deepEqual(await info('file'), ['file', 5, '711', 'urwx--x--x', 'user', 'user', undefined])
    assert.deepEqual(await info('dir'), ['dir', 4096, '777', 'dtrwxrwxrwx', 'user', 'user', undefined])
    assert.deepEqual(await info('link'), ['file', 4, '711', 'Lrwxrwxrwx', 'user', 'user', '/home/user/kinds/file'])
    assert.deepEqual((await info('dirlink')).slice(0, 1), ['dir'])
    assert.deepEqual((await info('broken')).at(-1), '/home/user/kinds/broken')
    assert.deepEqual((await info('broken'))[0], undefined)
    assert.deepEqual((await info('fifo')).slice(0, 4), [undefined, 0, '644', 'prw-r--r--'])
    assert.equal(+(await sandbox.files.getInfo('kinds/file')).modifiedTime, Date.parse('2001-02-03T04:05:06.789Z'))
    for (const [p, wanted] of [['kinds/broken', true], ['kinds/loop1', true], ['kinds/file/x', false], ['kinds/none', false]]) assert.equal(await sandbox.files.exists(p), wanted, p)
    await assert.rejects(sandbox.files.getInfo('kinds/none'), FileNotFoundError)
    const listed = (await sandbox.files.list('kinds')).map((e) => [e.name, e.type]).sort()
    assert.deepEqual(listed, [['dir', 'dir'], ['dirlink', 'dir'], ['file', 'file'], ['link', 'file']])
  })

  test(name('list: depth, order, links; what cannot be listed is told'), async () => {
    await sh('mkdir -p tree/b/c/d tree/a; touch tree/a/1 tree/b/2 tree/b/c/3 tree/b/c/d/4; ln -s ../tree/b tree/z; ln -s tree treelink; ln -s l2 l1; ln -s l1 l2')
    const list = async (p, depth) => (await sandbox.files.list(p, depth && { depth })).map((e) => e.path.replace('/home/user/', ''))
    assert.deepEqual(await list('tree'), ['tree/a', 'tree/b', 'tree/z'])
    assert.deepEqual(await list('tree', 1), ['tree/a', 'tree/b', 'tree/z'])
    assert.deepEqual(await list('tree', 2), ['tree/a', 'tree/a/1', 'tree/b', 'tree/b/2', 'tree/b/c', 'tree/z'])
    assert.deepEqual(await list('tree', 9), ['tree/a', 'tree/a/1', 'tree/b', 'tree/b/2', 'tree/b/c', 'tree/b/c/3', 'tree/b/c/d', 'tree/b/c/d/4', 'tree/z'])
    assert.deepEqual(await list('treelink'), ['treelink/a', 'treelink/b', 'treelink/z'])
    await assert.rejects(sandbox.files.list('tree', { depth: 0 }), InvalidArgumentError)
    await assert.rejects(sandbox.files.list('tree', { depth: -1 }), InvalidArgumentError)
    await assert.rejects(list('none'), NotFoundError)
    await assert.rejects(list('tree/a/1'), InvalidArgumentError)
    await assert.rejects(list('l1'), /cyclic/)
    await sandbox.files.makeDir('empty')
    assert.deepEqual(await list('empty'), [])
  })

  test(name('makeDir, rename, remove'), async () => {
    assert.equal(await sandbox.files.makeDir('d/e/f'), true)
    assert.equal(await sandbox.files.makeDir('d/e/f/'), false)
    assert.equal(await sh('stat -c "%U:%G %a" d d/e d/e/f'), 'user:user 755\n'.repeat(3))
    await sandbox.files.write('d/file', 'new')
    await assert.rejects(sandbox.files.makeDir('d/file'), InvalidArgumentError)
    await assert.rejects(sandbox.files.makeDir('d/file/x'), (e) => e instanceof Error && /not a directory|Not a directory|is a file/.test(e.message))
    await sandbox.files.write('d/old', 'old')
    assert.equal((await sandbox.files.rename('d/file', 'd/old')).path, '/home/user/d/old')
    assert.equal(await sandbox.files.read('d/old'), 'new')
    const moved = await sandbox.files.rename('d', 'fresh/parent/d')
    assert.deepEqual([moved.type, moved.path, moved.name], ['dir', '/home/user/fresh/parent/d', 'd'])
    assert.equal(await sh('stat -c %U fresh fresh/parent'), 'user\nuser\n')
    await assert.rejects(sandbox.files.rename('none', 'x'), NotFoundError)
    await assert.rejects(sandbox.files.rename('fresh', 'fresh/in/itself'), (e) => e instanceof Error)
    await sh('mkdir target; touch target/kept; ln -s target link-to-target')
    await sandbox.files.remove('link-to-target')
    assert.equal(await sandbox.files.exists('target/kept'), true)
    await sh('mkdir -p locked/in; touch locked/in/x; chmod 0 locked/in')
    for (const p of ['target', 'locked', 'fresh', 'no-such-thing']) await sandbox.files.remove(p)
    for (const p of ['target', 'locked', 'fresh']) assert.equal(await sandbox.files.exists(p), false, p)
  })

  test(name('user: decides home and owner, not what may be touched'), async () => {
    await sandbox.files.write('of-root', 'r', { user: 'root' })
    assert.equal(await sandbox.files.read('/root/of-root'), 'r')
    assert.equal(await sandbox.files.read('~/of-root', { user: 'root' }), 'r')
    assert.equal((await sandbox.files.getInfo('/root/of-root')).owner, 'root')
    await sandbox.files.makeDir('~/made', { user: 'root' })
    assert.deepEqual((await sandbox.files.list('~', { user: 'root' })).map((e) => e.name).filter((n) => !n.startsWith('.')), ['made', 'of-root'])
    await sandbox.files.write('/etc/by-user', 'x')
    assert.equal((await sandbox.files.getInfo('/etc/by-user')).owner, 'user')
    await assert.rejects(sandbox.files.read('x', { user: 'nobody-such' }), AuthenticationError)
    await assert.rejects(sandbox.files.list('/', { user: 'nobody-such' }), AuthenticationError)
    await assert.rejects(sandbox.files.read('~other/x'), InvalidArgumentError)
  })

  test(name('what cannot be read or written is told'), async () => {
    await assert.rejects(sandbox.files.read('none'), (e) => e instanceof FileNotFoundError && /'\/home\/user\/none' does not exist/.test(e.message))
    await assert.rejects(sandbox.files.read('/tmp'), (e) => e instanceof InvalidArgumentError && /is a directory/.test(e.message))
    await assert.rejects(sandbox.files.read('none', { format: 'stream' }), FileNotFoundError)
    await assert.rejects(sandbox.files.write('/tmp', 'x'), InvalidArgumentError)
    await assert.rejects(sandbox.files.write('/etc/passwd/x', 'x'), InvalidArgumentError)
    await assert.rejects(sandbox.files.write('y'.repeat(256), 'x'), InvalidArgumentError)
    await assert.rejects(sandbox.files.write('/proc/none', 'x'), (e) => e instanceof Error)
    await sh('mkfifo /tmp/fifo')
    await assert.rejects(sandbox.files.write('/tmp/fifo', 'x'), InvalidArgumentError)
    assert.match(await sandbox.files.read('/proc/self/status'), /^Name:\tenvd\n/)
  })

  test(name('files of the kernel are read and written; what has no end is refused'), async () => {
    assert.equal(await sandbox.files.read('/proc/1/comm'), 'envd\n')
    assert.match(await sandbox.files.read('/sys/devices/system/cpu/online'), /^0/)
    assert.equal((await sandbox.files.write('/dev/null', 'x')).path, '/dev/null')
    await assert.rejects(sandbox.files.write('/dev/full', 'x'), NotEnoughSpaceError)
    await sh('mkfifo /tmp/pipe; python3 -c "import socket; socket.socket(socket.AF_UNIX).bind(\'/tmp/socket\')"')
    for (const p of ['/dev/zero', '/dev/tty', '/tmp/pipe', '/tmp/socket']) {
      await assert.rejects(sandbox.files.read(p), InvalidArgumentError, p)
    }
  })

  test(name('names that are not UTF-8 do not spoil a listing'), async () => {
    await sh('mkdir /tmp/bytes; cd /tmp/bytes; touch "$(printf \'a\\xffb\')" ok')
    assert.deepEqual((await sandbox.files.list('/tmp/bytes')).map((e) => e.name), ['a\ufffdb', 'ok'])
    await sandbox.files.remove('/tmp/bytes')
    assert.equal(await sandbox.files.exists('/tmp/bytes'), false)
  })

  for (const [what, odds] of Object.entries(odd)) {
    test(name(`a name with ${what} is a name like any other`), async () => {
      const dir = what === 'longest' ? 'odd' : `odd/${odds}`, at = `${dir}/${odds}`
      const info = await sandbox.files.write(at, what)
      assert.deepEqual([info.name, info.path], [odds, `/home/user/${at}`])
      await sandbox.files.write(at, `${what}!`, { useOctetStream: true })
      assert.equal(await sandbox.files.read(at), `${what}!`)
      assert.equal(await sandbox.files.exists(at), true)
      assert.equal((await sandbox.files.getInfo(at)).name, odds)
      assert.deepEqual((await sandbox.files.list(dir)).map((e) => e.name), [odds])
      assert.equal((await sandbox.files.rename(at, `${at}`.replace(/(.)$/s, '_'))).name, odds.replace(/(.)$/s, '_'))
      const url = await uploadUrl(at), signed = await downloadUrl(at)
      assert.equal((await curl('-F', 'file=@/etc/hostname', url)).status, 200)
      assert.deepEqual((await curl(signed)).body, readFileSync('/etc/hostname'))
      await sandbox.files.remove(dir)
      assert.equal(await sandbox.files.exists(dir), false)
    })
  }

  test(name('signed URLs: upload and download with curl, for the path, the operation, the user and the time they name'), async () => {
    const at = 'signed/a b+c.txt'
    const up = await curl('-F', 'file=@/etc/hostname;filename=ignored', await uploadUrl(at, { useSignatureExpiration: 60 }))
    assert.deepEqual([up.status, JSON.parse(up.body)[0].path], [200, `/home/user/${at}`])
    const anywhere = await curl('-F', 'file=@/etc/hostname;filename=/tmp/from part', await uploadUrl())
    assert.deepEqual([anywhere.status, JSON.parse(anywhere.body)[0].path], [200, '/tmp/from part'])
    const octets = await curl('-H', 'Content-Type: application/octet-stream', '--data-binary', 'raw bytes', await uploadUrl('signed/raw', { user: 'root' }))
    assert.deepEqual([octets.status, JSON.parse(octets.body)[0].path], [200, '/root/signed/raw'])
    assert.equal((await curl(await downloadUrl('signed/raw', { user: 'root', useSignatureExpiration: 60 }))).body.toString(), 'raw bytes')
    const down = await downloadUrl(at)
    assert.deepEqual((await curl(down)).body, readFileSync('/etc/hostname'))
    assert.deepEqual((await curl('-r', '1-3', down)).body, readFileSync('/etc/hostname').subarray(1, 4))

    const change = (url, key, value) => { const u = new URL(url); value === undefined ? u.searchParams.delete(key) : u.searchParams.set(key, value); return u.toString() }
    const refused = async (why, ...args) => {
      const r = await curl(...args)
      assert.deepEqual([r.status, JSON.parse(r.body).code], [401, 401], String(r.body))
      assert.match(JSON.parse(r.body).message, why)
    }
    await refused(/missing signature/, change(down, 'signature'))
    await refused(/invalid signature/, change(down, 'signature', 'v1_' + 'A'.repeat(43)))
    await refused(/invalid signature/, change(down, 'path', '/etc/shadow'))
    await refused(/invalid signature/, change(down, 'username', 'root'))
    await refused(/invalid signature/, change(down, 'signature_expiration', '99999999999'))
    await refused(/invalid signature/, '-F', 'file=@/etc/hostname', down)
    await refused(/invalid signature/, await uploadUrl(at))
    await refused(/does not match/, '-H', 'X-Access-Token: wrong', down)
    const short = await downloadUrl(at, { useSignatureExpiration: 1 })
    assert.equal((await curl(short)).status, 200)
    await sleep(2100)
    await refused(/expired/, short)
    await refused(/invalid signature/, change(short, 'signature_expiration', String(Math.floor(Date.now() / 1000) + 60)))
  })

  test(name('without its token nothing of envd answers, but health'), async () => {
    const bare = { 'E2b-Sandbox-Id': sandbox.sandboxId, 'E2b-Sandbox-Port': '49983' }
    for (const headers of [bare, { ...bare, 'X-Access-Token': 'wrong' }]) {
      for (const [method, at] of [['GET', '/files?path=/etc/passwd'], ['GET', '/metrics'], ['GET', '/envs'], ['POST', '/process.Process/List'], ['POST', '/filesystem.Filesystem/Stat']]) {
        const r = await fetch(server.url + at, { method, headers: { ...headers, 'Content-Type': 'application/json' }, body: method === 'POST' ? '{}' : undefined })
        assert.deepEqual([r.status, (await r.json()).code], [401, 401], `${method} ${at}`)
      }
      assert.equal((await fetch(`${server.url}/health`, { headers })).status, 204)
    }
    assert.equal((await unary(server, sandbox, 'filesystem.Filesystem/Stat', { path: '/' })).body.entry.name, '/')
  })

  test(name('an upload that breaks off leaves no new file'), async () => {
    const breakOff = (at) => new Promise((resolve) => {
      const s = net.connect(server.port, '127.0.0.1', () => {
        const fields = Object.entries({ Host: 'x', 'Content-Type': 'application/octet-stream', 'Content-Length': '1000000', ...headersFor(sandbox) })
        s.write(`POST /files?path=${at} HTTP/1.1\r\n${fields.map(([k, v]) => `${k}: ${v}\r\n`).join('')}\r\n` + 'x'.repeat(100000))
        setTimeout(() => s.destroy(), 100)
      })
      s.on('error', () => {}).on('close', resolve)
    })
    await breakOff('/tmp/broken-off')
    await until('it is gone', async () => !(await sandbox.files.exists('/tmp/broken-off')))
  })

  test(name('a full disk is told, and what did not fit is not there'), async () => {
    const small = await Sandbox.create('small-disk')
    await assert.rejects(small.files.write('big', new Uint8Array(40 << 20).buffer), (e) => e instanceof NotEnoughSpaceError && /not enough disk space/.test(e.message))
    await assert.rejects(small.files.write('big', new Blob([new Uint8Array(40 << 20)]), { useOctetStream: true }), NotEnoughSpaceError)
    assert.equal(await small.files.exists('big'), false)
    await small.files.write('fits', 'x'.repeat(1 << 20))
    assert.equal((await small.files.getInfo('fits')).size, 1 << 20)
    assert.equal(await small.kill(), true)
  })

  test(name('kill'), async () => {
    assert.equal(await sandbox.kill(), true)
  })
}

leavesNothing(server)
