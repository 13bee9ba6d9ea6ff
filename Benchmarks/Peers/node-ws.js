// Fan-out as programs with `ws` do it: a set of sockets for each channel, and a send to each.
// Usage: node node-ws.js PORT CONTROL-PORT. Control: lines of "channel message".
const net = require('net')
const readline = require('readline')
const { WebSocketServer } = require('ws')

const channels = new Map()
const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.argv[2]), backlog: 4096 })

server.on('connection', (socket, request) => {
  const name = request.url.slice(1)
  if (!channels.has(name)) channels.set(name, new Set())
  channels.get(name).add(socket)
  socket.isAlive = true
  socket.on('pong', () => { socket.isAlive = true })
  socket.on('error', () => {})
  socket.on('close', () => {
    const members = channels.get(name)
    members.delete(socket)
    if (members.size === 0) channels.delete(name)
  })
})

setInterval(() => {
  for (const socket of server.clients) {
    if (!socket.isAlive) { socket.terminate(); continue }
    socket.isAlive = false
    socket.ping()
  }
}, 25_000)

net.createServer((control) => {
  readline.createInterface({ input: control }).on('line', (line) => {
    const space = line.indexOf(' ')
    const message = line.slice(space + 1)
    for (const socket of channels.get(line.slice(0, space)) ?? []) socket.send(message)
  })
}).listen(Number(process.argv[3]), '127.0.0.1')
