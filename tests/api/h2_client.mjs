// SPDX-License-Identifier: Apache-2.0
// The HTTP/2 client of Node.js against edge: h2_client.mjs PORT HOST. Prints what it saw as JSON.
import http2 from 'node:http2'
import net from 'node:net'
import tls from 'node:tls'
import { once } from 'node:events'

const [port, host] = process.argv.slice(2)
const session = http2.connect(`https://${host}:${port}`, {
  createConnection: () => tls.connect({ socket: net.connect(Number(port), '127.0.0.1'), servername: host, ALPNProtocols: ['h2'] }),
})
await once(session, 'connect')
await once(session, 'remoteSettings')

async function ask(headers, body) {
  const stream = session.request({ ':scheme': 'https', ':authority': `${host}:${port}`, ...headers })
  stream.end(body)
  const answer = (await once(stream, 'response'))[0]
  const parts = []
  for await (const part of stream) parts.push(part)
  return { status: answer[':status'], answer, body: Buffer.concat(parts) }
}

const told = { protocol: session.alpnProtocol }

const many = await Promise.all(Array.from({ length: 100 }, (_, i) => ask({ ':path': `/n/${i}` })))
told.many = many.filter((a, i) => a.body.toString() === `GET /n/${i} HTTP/1.1`).length

// Each part is sent when the one before has come back.
const duplex = session.request({ ':path': '/duplex', ':method': 'POST', ':authority': `${host}:${port}`, cookie: ['a=1', 'b=2'] })
duplex.on('trailers', (t) => { told.trailer = t['x-last'] })
duplex.on('response', (h) => { told.cookie = h['x-seen'] })
const part = Buffer.alloc(64 << 10, 'd')
let back = 0
let sent = part.length
duplex.write(part)
duplex.on('data', (d) => {
  back += d.length
  if (back < sent) return
  if (sent === 4 << 20) duplex.end()
  else {
    sent += part.length
    duplex.write(part)
  }
})
await once(duplex, 'end')
told.echo = back

const socket = session.request({ ':method': 'CONNECT', ':protocol': 'websocket', ':scheme': 'https', ':path': '/ws', ':authority': `${host}:${port}`, 'sec-websocket-version': '13' })
const upgraded = (await once(socket, 'response'))[0]
if (upgraded[':status'] !== 200) throw new Error(`extended CONNECT: ${upgraded[':status']}`)
socket.write('hello')
let heard = ''
for await (const d of socket) {
  heard += d
  if (heard.length === 5) break
}
told.socket = heard

const slow = session.request({ ':path': '/slow', ':authority': `${host}:${port}` })
await once(slow, 'data')
slow.close(http2.constants.NGHTTP2_CANCEL)
await once(slow, 'close')
told.cancelled = true
told.after = (await ask({ ':path': '/again' })).status

session.destroy()
console.log(JSON.stringify(told))
