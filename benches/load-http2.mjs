// What wrk does for HTTP/1.1:  node load-http2.mjs PORT SECONDS STREAMS FILE   (see load.lua for the file)
import { readFileSync } from 'node:fs';
import { connect } from 'node:http2';

const [port, seconds, streams, file] = process.argv.slice(2);
const [head, body] = readFileSync(file, 'utf8').replace(/^\d+\n/, '').split('\r\n\r\n');
const [first, ...lines] = head.split('\r\n');
const fields = lines.map((line) => line.split(/: (.*)/, 2)).filter(([name]) => name !== 'host');
const headers = { ':method': 'POST', ':path': first.split(' ')[1], ':authority': 'gateway', ...Object.fromEntries(fields) };
const counts = { requests: 0, refused: 0, failed: 0 };
const times = [];
const session = connect(`http://127.0.0.1:${port}`);
const end = performance.now() + Number(seconds) * 1000;

await Promise.all(Array.from({ length: Number(streams) }, async () => {
  while (performance.now() < end) await request();
}));
session.close();
times.sort((a, b) => a - b);
const at = (part) => times[Math.floor(times.length * part)];
console.log(JSON.stringify({ ...counts, seconds: Number(seconds), p50_ms: at(0.5), p99_ms: at(0.99) }));

function request() {
  return new Promise((resolve) => {
    const start = performance.now();
    const stream = session.request(headers);
    stream.on('response', ({ ':status': status }) => { if (status >= 400) counts.refused += 1; });
    stream.on('error', () => { counts.failed += 1; }).on('close', () => {
      counts.requests += 1;
      times.push(performance.now() - start);
      resolve();
    });
    stream.resume().end(body);
  });
}
