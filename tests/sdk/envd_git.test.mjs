// The SDKs' git helpers, which are commands in the sandbox: against repositories inside it, one of them
// behind an HTTP server that wants a password. wire.md 7.2.
import test from 'node:test'
import assert from 'node:assert/strict'
import { until } from './server.mjs'
import { generations, leavesNothing, serve } from './guest.mjs'

const server = await serve()
const author = { authorName: 'A Person', authorEmail: 'person@example.com' }

// git's own HTTP backend behind Basic authentication.
const gitServer = `
import base64, http.server, os, subprocess
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.0'
    def serve(self):
        wanted = 'Basic ' + base64.b64encode(b'me:s3cret').decode()
        if self.headers.get('Authorization') != wanted:
            self.send_response(401); self.send_header('WWW-Authenticate', 'Basic realm="git"'); self.end_headers(); return
        path, _, query = self.path.partition('?')
        length = int(self.headers.get('Content-Length') or 0)
        env = dict(os.environ, GIT_PROJECT_ROOT='/home/user/served', GIT_HTTP_EXPORT_ALL='1', PATH_INFO=path, QUERY_STRING=query,
                   REQUEST_METHOD=self.command, CONTENT_TYPE=self.headers.get('Content-Type', ''), CONTENT_LENGTH=str(length), REMOTE_USER='me',
                   HTTP_CONTENT_ENCODING=self.headers.get('Content-Encoding', ''), GIT_PROTOCOL=self.headers.get('Git-Protocol', ''))
        out = subprocess.run(['git', 'http-backend'], input=self.rfile.read(length), env=env, stdout=subprocess.PIPE).stdout
        head, _, body = out.partition(b'\\r\\n\\r\\n')
        fields = [line.decode().split(': ', 1) for line in head.split(b'\\r\\n')]
        self.send_response(int(dict(fields).get('Status', '200').split()[0]))
        for key, value in fields:
            if key != 'Status': self.send_header(key, value)
        self.end_headers(); self.wfile.write(body)
    do_GET = do_POST = serve
http.server.ThreadingHTTPServer(('127.0.0.1', 8090), Handler).serve_forever()
`

for (const { name: generation, Sandbox, GitAuthError, GitUpstreamError, InvalidArgumentError } of generations) {
  const name = (what) => `${generation}: ${what}`
  const git = (call, ...args) => sandbox.git[call](...args)
  const sh = async (command) => (await sandbox.commands.run(command)).stdout.trim()
  let sandbox

  test(name('create'), async () => {
    sandbox = await Sandbox.create('base')
  })

  test(name('init, add, commit, status'), async () => {
    await git('init', '/home/user/repo', { initialBranch: 'main' })
    assert.equal((await git('status', 'repo')).currentBranch, 'main')
    await sandbox.files.write('repo/a file.txt', 'one\n')
    await sandbox.files.write('repo/other', 'two\n')
    const untracked = await git('status', '/home/user/repo')
    assert.deepEqual([untracked.hasUntracked, untracked.isClean, untracked.totalCount], [true, false, 2])
    await git('add', 'repo', { files: ['other'] })
    const mixed = await git('status', 'repo')
    assert.deepEqual([mixed.stagedCount, mixed.untrackedCount], [1, 1])
    await git('add', 'repo')
    await git('commit', 'repo', 'First: it\'s "quoted" $HOME ž', author)
    assert.equal((await git('status', 'repo')).isClean, true)
    assert.equal(await sh('git -C repo log --format="%s|%an|%ae"'), 'First: it\'s "quoted" $HOME ž|A Person|person@example.com')
    await git('commit', 'repo', 'empty', { ...author, allowEmpty: true })
    assert.equal(await sh('git -C repo rev-list --count HEAD'), '2')
  })

  test(name('branches: create, check out, delete'), async () => {
    await git('createBranch', 'repo', 'feature/one')
    assert.deepEqual(await git('branches', 'repo'), { branches: ['feature/one', 'main'], currentBranch: 'feature/one' })
    await git('checkoutBranch', 'repo', 'main')
    await git('deleteBranch', 'repo', 'feature/one')
    await git('createBranch', 'repo', 'unmerged')
    await git('commit', 'repo', 'only here', { ...author, allowEmpty: true })
    await git('checkoutBranch', 'repo', 'main')
    await assert.rejects(git('deleteBranch', 'repo', 'unmerged'), (e) => e.exitCode === 1 && /not fully merged/.test(e.stderr))
    await git('deleteBranch', 'repo', 'unmerged', { force: true })
    assert.deepEqual((await git('branches', 'repo')).branches, ['main'])
  })

  test(name('reset and restore'), async () => {
    await sandbox.files.write('repo/other', 'changed\n')
    await git('add', 'repo')
    await git('restore', 'repo', { paths: ['other'], staged: true })
    assert.equal((await git('status', 'repo')).stagedCount, 0)
    await git('restore', 'repo', { paths: ['other'] })
    assert.equal(await sandbox.files.read('repo/other'), 'two\n')
    await git('reset', 'repo', { mode: 'hard', target: 'HEAD~1' })
    assert.equal(await sh('git -C repo rev-list --count HEAD'), '1')
    await assert.rejects(git('reset', 'repo', { mode: 'sideways' }), InvalidArgumentError)
  })

  test(name('configuration: of the user and of one repository'), async () => {
    await git('configureUser', 'Global Name', 'global@example.com')
    assert.equal(await git('getConfig', 'user.name'), 'Global Name')
    await git('setConfig', 'user.name', 'Local Name', { scope: 'local', path: '/home/user/repo' })
    assert.equal(await git('getConfig', 'user.name', { scope: 'local', path: '/home/user/repo' }), 'Local Name')
    assert.equal(await git('getConfig', 'no.such'), undefined)
    await git('commit', 'repo', 'by configuration', { allowEmpty: true })
    assert.equal(await sh('git -C repo log -1 --format="%an|%ae"'), 'Local Name|global@example.com')
  })

  test(name('remotes: push, clone and pull through a bare repository'), async () => {
    await git('init', '/home/user/served/bare.git', { bare: true, initialBranch: 'main' })
    await assert.rejects(git('push', 'repo'), (e) => e.exitCode === 128 && /No configured push destination/.test(e.stderr))
    await git('remoteAdd', 'repo', 'origin', '/nowhere')
    await git('remoteAdd', 'repo', 'origin', '/home/user/served/bare.git', { overwrite: true, fetch: true })
    assert.equal(await git('remoteGet', 'repo', 'origin'), '/home/user/served/bare.git')
    assert.equal(await git('remoteGet', 'repo', 'none'), undefined)
    await assert.rejects(git('pull', 'repo'), GitUpstreamError)
    await assert.rejects(git('push', 'repo', { setUpstream: false }), GitUpstreamError)
    await git('push', 'repo', { remote: 'origin', branch: 'main' })
    await git('clone', '/home/user/served/bare.git', { path: 'copy dir' })
    assert.equal(await sandbox.files.read('copy dir/other'), 'two\n')
    const status = await git('status', 'copy dir')
    assert.deepEqual([status.currentBranch, status.upstream, status.ahead, status.behind], ['main', 'origin/main', 0, 0])
    await sandbox.files.write('copy dir/more', 'more\n')
    await git('add', 'copy dir')
    await git('commit', 'copy dir', 'more', author)
    assert.equal((await git('status', 'copy dir')).ahead, 1)
    await git('push', 'copy dir')
    await git('pull', 'repo')
    assert.equal(await sandbox.files.read('repo/more'), 'more\n')
    await git('clone', 'file:///home/user/served/bare.git', { path: '/tmp/shallow', depth: 1, branch: 'main' })
    assert.equal(await sh('git -C /tmp/shallow rev-list --count HEAD'), '1')
  })

  test(name('a server that wants a password: told when it is missing, used when given, not kept'), async () => {
    await sandbox.files.write('/tmp/git-server.py', gitServer)
    const served = await sandbox.commands.run('git -C served/bare.git config http.receivepack true; exec python3 /tmp/git-server.py', { background: true })
    await until('it listens', async () => (await sh('curl -s -o /dev/null -w "%{http_code}" http://127.0.0.1:8090/ || true')) === '401')
    const url = 'http://127.0.0.1:8090/bare.git', login = { username: 'me', password: 's3cret' }
    await assert.rejects(git('clone', url, { path: '/tmp/refused' }), GitAuthError)
    await git('clone', url, { path: '/tmp/with-login', ...login })
    assert.equal(await git('remoteGet', '/tmp/with-login', 'origin'), url)
    assert.ok(!(await sandbox.files.read('/tmp/with-login/.git/config')).includes('s3cret'))
    await git('commit', '/tmp/with-login', 'over http', { ...author, allowEmpty: true })
    await assert.rejects(git('push', '/tmp/with-login'), GitAuthError)
    await git('push', '/tmp/with-login', login)
    assert.equal(await sh('git -C served/bare.git log -1 --format=%s'), 'over http')
    assert.equal(await git('remoteGet', '/tmp/with-login', 'origin'), url)
    await git('dangerouslyAuthenticate', { ...login, host: '127.0.0.1:8090', protocol: 'http' })
    await git('pull', '/tmp/with-login')
    await served.kill()
    await assert.rejects(served.wait())
  })

  test(name('kill'), async () => {
    assert.equal(await sandbox.kill(), true)
  })
}

leavesNothing(server)
