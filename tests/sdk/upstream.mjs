// An E2B API whose answers the test scripts: it counts what it is asked, and hangs, refuses, answers
// garbage or in pages as it is told.
import http from 'node:http'

export class Upstream {
  asked = [] // { method, path, headers, body }
  script = () => undefined // (request) => { status, body, headers } or 'hang' or undefined (the default)
  boxes = new Map()
  next = 0

  async start() {
    this.http = http.createServer((req, res) => {
      const parts = []
      req.on('data', (d) => parts.push(d)).on('end', () => this.answer(req, res, Buffer.concat(parts).toString()))
    })
    await new Promise((resolve) => this.http.listen(0, '127.0.0.1', resolve))
    this.url = `http://127.0.0.1:${this.http.address().port}`
    return this
  }

  async stop() {
    this.http.closeAllConnections()
    await new Promise((resolve) => this.http.close(resolve))
  }

  count(method, pattern) {
    return this.asked.filter((r) => r.method === method && pattern.test(r.path)).length
  }

  make(body) {
    const id = `ibox${String(++this.next).padStart(4, '0')}`
    const box = { sandboxID: id, templateID: body.templateID, clientID: 'c', envdVersion: '0.2.0', startedAt: new Date().toISOString(), state: 'running', metadata: body.metadata ?? {} }
    this.boxes.set(id, box)
    return box
  }

  usual(r) {
    const [path, query] = r.path.split('?')
    const id = path.split('/')[2]
    if (r.method === 'POST' && (path === '/v2/sandboxes' || path === '/sandboxes')) return { status: 201, body: this.make(JSON.parse(r.body)) }
    if (r.method === 'GET' && path === '/v2/sandboxes') {
      const wanted = new URLSearchParams(new URLSearchParams(query).get('metadata') ?? '')
      return { status: 200, body: [...this.boxes.values()].filter((b) => [...wanted].every(([k, v]) => b.metadata[k] === v)) }
    }
    if (path.startsWith('/sandboxes/') && !this.boxes.has(id)) return { status: 404, body: { code: 404, message: `no sandbox ${id}` } }
    if (r.method === 'DELETE') { this.boxes.delete(id); return { status: 204 } }
    if (r.method === 'GET') return { status: 200, body: this.boxes.get(id) }
    return { status: 404, body: { code: 404, message: 'no such path' } }
  }

  async answer(req, res, body) {
    const r = { method: req.method, path: req.url, headers: req.headers, body }
    this.asked.push(r)
    const a = (await this.script(r)) || this.usual(r)
    if (a === 'hang') return
    const text = a.body === undefined ? '' : typeof a.body === 'string' ? a.body : JSON.stringify(a.body)
    res.writeHead(a.status, { 'Content-Type': 'application/json', ...a.headers })
    res.end(text)
  }
}
