// Does what wrk does with load.lua, where there is no wrk:  node load.mjs PORT SECONDS CONNECTIONS FILE
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';

const [port, seconds, connections, file] = process.argv.slice(2);
const requests = [];
for (let rest = readFileSync(file); rest.length > 0;) {
  const start = rest.indexOf('\n') + 1;
  const end = start + Number(rest.subarray(0, start));
  requests.push(rest.subarray(start, end));
  rest = rest.subarray(end);
}
const counts = { requests: 0, refused: 0, failed: 0 };
const [start, sockets] = [performance.now(), new Set()];
let [next, isOver] = [0, false];

function open() {
  let text = '';
  const socket = connect({ port: Number(port), host: '127.0.0.1', noDelay: true });
  const send = () => socket.write(requests[next++ % requests.length]);
  sockets.add(socket.setEncoding('latin1'));
  socket.on('connect', send).on('error', () => { counts.failed += 1; }).on('data', (chunk) => {
    text += chunk;
    const head = text.indexOf('\r\n\r\n');
    if (head < 0) return;
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(text)[1]);
    if (text.length < head + 4 + length) return;
    counts.requests += 1;
    if (!text.startsWith('HTTP/1.1 2')) counts.refused += 1;
    text = '';
    send();
  }).on('close', () => {
    sockets.delete(socket);
    if (!isOver) open();
  });
}
for (let i = 0; i < Number(connections); i += 1) open();
setTimeout(() => {
  isOver = true;
  sockets.forEach((socket) => socket.destroy());
  console.log(JSON.stringify({ ...counts, seconds: (performance.now() - start) / 1000 }));
}, Number(seconds) * 1000);
