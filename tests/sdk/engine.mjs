// A stand-in for the iii engine, as far as workers and callers see it: it routes calls between them by
// function id, and has channels. Both eras: with { newer: true } it gives reattach tokens, buffers
// registrations until the worker is announced, and refuses names that are taken.
import http from 'node:http'
import { randomUUID } from 'node:crypto'
import { WebSocketServer } from 'ws'

export class Engine {
  functions = new Map() // id -> { socket, message }
  calls = new Map() // invocation id -> { caller, callee, their id }
  workers = new Map() // socket -> { id, name, token, announced, waiting }
  channels = new Map()
  events = [] // what workers said, in order
  seen = [] // frames from workers, as text

  constructor({ newer = false } = {}) {
    this.newer = newer
  }

  async start(port = 0) {
    this.http = http.createServer((_, res) => res.writeHead(426).end())
    this.server = new WebSocketServer({ server: this.http, maxPayload: 64 << 20 })
    this.server.on('connection', (socket, request) => this.accept(socket, request))
    await new Promise((resolve) => this.http.listen(port, '127.0.0.1', resolve))
    this.port = this.http.address().port
    this.url = `ws://127.0.0.1:${this.port}`
    return this
  }

  // As kill -9 does: no goodbye.
  async kill() {
    for (const socket of this.server.clients) socket.terminate()
    this.functions.clear()
    this.calls.clear()
    this.workers.clear()
    await new Promise((resolve) => { this.server.close(); this.http.close(resolve); this.http.closeAllConnections() })
  }

  accept(socket, request) {
    const url = new URL(request.url, 'http://engine')
    socket.on('error', () => {})
    if (url.pathname.startsWith('/ws/channels/')) return this.join(socket, url)
    if (url.pathname === '/otel') return
    const worker = { id: randomUUID(), token: randomUUID(), announced: !this.newer, waiting: [] }
    this.workers.set(socket, worker)
    socket.on('message', (data, isBinary) => { if (!isBinary) this.hear(socket, worker, data.toString()) })
    socket.on('close', () => this.gone(socket))
    this.send(socket, { type: 'workerregistered', worker_id: worker.id, ...(this.newer ? { reattach_token: worker.token } : {}) })
  }

  send(socket, message) {
    socket.send(JSON.stringify(message))
  }

  gone(socket) {
    this.workers.delete(socket)
    for (const [id, f] of this.functions) if (f.socket === socket) this.functions.delete(id)
    for (const [id, c] of this.calls) {
      if (c.callee !== socket && c.caller !== socket) continue
      this.calls.delete(id)
      if (c.caller !== socket && c.id) this.send(c.caller, { type: 'invocationresult', invocation_id: c.id, function_id: c.function_id, error: { code: 'invocation_stopped', message: 'the worker is gone' } })
    }
  }

  hear(socket, worker, text) {
    const m = JSON.parse(text)
    this.seen.push(text)
    this.events.push({ worker: worker.name, type: m.type, id: m.id ?? m.function_id, message: m })
    if (m.type === 'registerfunction') worker.announced ? this.register(socket, worker, m) : worker.waiting.push(m)
    else if (m.type === 'unregisterfunction') { if (this.functions.get(m.id)?.socket === socket) this.functions.delete(m.id) }
    else if (m.type === 'invokefunction') this.invoke(socket, worker, m)
    else if (m.type === 'invocationresult') this.result(m)
    else if (m.type === 'ping') this.send(socket, { type: 'pong' })
  }

  register(socket, worker, m) {
    const owner = this.functions.get(m.id)
    if (this.newer && owner && owner.socket !== socket)
      return this.send(socket, { type: 'registrationrejected', code: 'FUNCTION_NAMESPACE_CONFLICT', namespace: 'default', function_id: m.id, owner_worker_id: this.workers.get(owner.socket)?.id })
    this.functions.set(m.id, { socket, message: m })
  }

  announce(socket, worker, data) {
    worker.name = data.name
    worker.announcement = data
    const taken = [...this.workers].some(([s, w]) => s !== socket && w.name === data.name)
    if (this.newer && taken) {
      this.send(socket, { type: 'registrationrejected', code: 'WORKER_NAMESPACE_CONFLICT', namespace: 'default', worker_name: data.name })
      return socket.close()
    }
    worker.announced = true
    for (const m of worker.waiting.splice(0)) this.register(socket, worker, m)
  }

  own(socket, m) {
    if (m.function_id === 'engine::functions::list') return { functions: [...this.functions.values()].map((f) => f.message) }
    if (m.function_id !== 'engine::channels::create') return undefined
    const channel = { id: randomUUID(), key: randomUUID(), kept: [] }
    this.channels.set(channel.id, channel)
    const ref = (direction) => ({ channel_id: channel.id, access_key: channel.key, direction })
    return { writer: ref('write'), reader: ref('read') }
  }

  invoke(socket, worker, m) {
    if (!('data' in m)) m.data = null
    if (m.function_id === 'engine::workers::register') return this.announce(socket, worker, m.data)
    const own = this.own(socket, m)
    const answer = (body) => m.invocation_id && this.send(socket, { type: 'invocationresult', invocation_id: m.invocation_id, function_id: m.function_id, ...body })
    if (own) return answer({ result: own })
    const f = this.functions.get(m.function_id)
    if (!f) return answer({ error: { code: 'function_not_found', message: `Function ${m.function_id} not found` } })
    const id = randomUUID()
    this.calls.set(id, { caller: socket, callee: f.socket, id: m.invocation_id, function_id: m.function_id })
    const data = m.data && typeof m.data === 'object' && !Array.isArray(m.data) ? { ...m.data, _caller_worker_id: worker.id } : m.data
    this.send(f.socket, { ...m, invocation_id: id, data })
  }

  result(m) {
    const call = this.calls.get(m.invocation_id)
    this.calls.delete(m.invocation_id)
    if (call?.id) this.send(call.caller, { ...m, invocation_id: call.id })
  }

  join(socket, url) {
    const channel = this.channels.get(url.pathname.split('/').pop())
    if (!channel || url.searchParams.get('key') !== channel.key) return socket.close(1008)
    const side = url.searchParams.get('dir')
    channel[side] = socket
    if (side === 'read') {
      for (const [data, isBinary] of channel.kept.splice(0)) socket.send(data, { binary: isBinary })
      if (channel.closed) socket.close(1000)
      return
    }
    socket.on('message', (data, isBinary) => {
      if (channel.read) channel.read.send(data, { binary: isBinary })
      else channel.kept.push([data, isBinary])
    })
    socket.on('close', () => { channel.closed = true; channel.read?.close(1000) })
  }
}
