// SPDX-License-Identifier: Apache-2.0
// The reference of http_compare.py: Node's HTTP server, strict parser, answers every request with its body.
import http from 'node:http';

const server = http.createServer({ insecureHTTPParser: false, maxHeaderSize: 32768 }, (request, answer) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('error', () => {});
  request.on('end', () => {
    answer.on('error', () => {});
    answer.end(Buffer.concat(parts));
  });
});
server.httpAllowHalfOpen = true; // http_compare.py ends its side after the last byte
// What it refuses is seen by the answer that does not come; whole requests in front of it are answered first.
server.on('clientError', (error, socket) => setImmediate(() => setImmediate(() => socket.end())));
server.listen(0, '127.0.0.1', () => console.log(`port ${server.address().port}`));
process.stdin.on('end', () => process.exit(0)).resume();
