// SPDX-License-Identifier: Apache-2.0
// A gRPC client's frames through edge: grpc_client.mjs PORT HOST. Prints what it saw as JSON.
import http2 from 'node:http2'
import net from 'node:net'
import { once } from 'node:events'

const [port, host] = process.argv.slice(2)
const session = http2.connect(`http://${host}:${port}`, { createConnection: () => net.connect(Number(port), '127.0.0.1') })
const headers = (path) => ({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers', 'x-meta': 'm' })

async function call(path, parts) {
  const stream = session.request(headers(path))
  const seen = { trailers: {}, body: '' }
  stream.on('response', (h) => { seen.head = h })
  stream.on('trailers', (t) => { seen.trailers = t })
  stream.on('data', (d) => { seen.body += d })
  stream.on('error', () => { seen.failed = true })
  for (const part of parts) {
    stream.write(part)
    if (parts.length > 1) await once(stream, 'data') // full duplex: each answer before the next question
  }
  if (parts.length > 0) stream.end()
  else stream.end()
  await new Promise((resolve) => stream.on('close', resolve))
  return seen
}

const unary = await call('/svc/Unary', ['question'])
const bidi = await call('/svc/Bidi', ['one', 'two', 'three'])
const big = await call('/svc/Unary', ['x'.repeat(3 << 20)])
const missing = await call('/svc/Missing', ['q'])
const aborted = await call('/svc/Abort', ['q'])
const many = await Promise.all(Array.from({ length: 50 }, (_, i) => call('/svc/Unary', [`n${i}`])))
console.log(JSON.stringify({
  unary: [unary.head[':status'], unary.body, unary.trailers['grpc-status'], unary.trailers['x-seen']],
  bidi: [bidi.body, bidi.trailers['grpc-message']],
  big: [big.body.length, big.trailers['grpc-status']],
  missing: [missing.head['grpc-status'], missing.head['grpc-message']],
  aborted: aborted.failed === true && aborted.trailers['grpc-status'] === undefined,
  many: many.filter((m, i) => m.body === `n${i}` && m.trailers['grpc-status'] === '0').length,
}))
session.destroy()
