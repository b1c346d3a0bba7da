// SPDX-License-Identifier: Apache-2.0
// What a gRPC server is on the wire, by Node.js's HTTP/2 in clear text: grpc_server.mjs. Prints its port.
import http2 from 'node:http2'

const server = http2.createServer()
server.on('stream', (stream, headers) => {
  stream.on('error', () => {}) // the one that we close ourselves
  const path = headers[':path']
  if (headers.te !== 'trailers' || headers['content-type'] !== 'application/grpc') return stream.close(http2.constants.NGHTTP2_PROTOCOL_ERROR)
  if (path === '/svc/Missing') return stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '12', 'grpc-message': 'unknown method' }, { endStream: true })
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'grpc-message': 'fine', 'x-seen': headers['x-meta'] ?? '' }))
  if (path === '/svc/Abort') return void stream.write('part', () => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR))
  stream.on('data', (d) => stream.write(d)) // Unary and Bidi alike: what came goes back
  stream.on('end', () => stream.end())
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
