// HTTP/1.1 by hand: what is sent is what is written here, byte for byte, sound or not.
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Sends `parts` (text as Latin-1, bytes, milliseconds to wait, or a promise to wait for) over one connection and reads until there
 * are as many whole `answers`, or the other side closes it. Resolves to the answers in order, interim ones too; none if it
 * was closed without one. `headOnly`: there is no body, whatever the headers say of one.
 */
export async function exchangeBytes(port, parts, { seconds = 15, answers = 1, headOnly = false } = {}) {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  const chunks = [];
  socket.on('data', (chunk) => {
    chunks.push(chunk);
    if (parseAnswers(Buffer.concat(chunks)).filter((answer) => isWhole(answer, headOnly)).length >= answers) socket.destroy();
  });
  socket.on('error', () => {}); // a reset is an answer too
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const late = setTimeout(() => socket.destroy(), seconds * 1000);
  for (const part of [parts].flat()) {
    if (socket.destroyed) break;
    if (typeof part === 'number') await sleep(part);
    else if (part instanceof Promise) await Promise.race([part, closed]);
    else if (!socket.write(typeof part === 'string' ? Buffer.from(part, 'latin1') : part)) {
      await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), closed]);
    }
  }
  await closed;
  clearTimeout(late);
  return parseAnswers(Buffer.concat(chunks));
}

/** One request; its final answer, or `undefined` if the connection was closed without one. */
export async function raw(port, { method = 'POST', path = '/mcp', headers = [], body = [], close = true }, options) {
  const lines = [...headers, ...(close ? [['connection', 'close']] : [])];
  const host = lines.some(([name]) => name.toLowerCase() === 'host') ? [] : [['host', `127.0.0.1:${port}`]];
  const head = [`${method} ${path} HTTP/1.1`, ...[...host, ...lines].map(([name, value]) => `${name}: ${value}`), '', ''].join('\r\n');
  return (await exchangeBytes(port, [head, ...[body].flat()], { headOnly: method === 'HEAD', ...options })).at(-1);
}

/** A body as one chunk for each of `pieces` (RFC 9112 section 7.1), with trailers. */
export const chunked = (pieces, trailers = []) => [
  ...pieces.map((piece) => Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), Buffer.from(piece), Buffer.from('\r\n')])),
  `0\r\n${trailers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`,
];

// Envoy holds a connection open for a while after it refused what came on it.
function isWhole({ status, headers, text }, headOnly) {
  if (text !== undefined && (headOnly || status === 204)) return true;
  return text !== undefined && Buffer.byteLength(text) === Number(headers.get('content-length') ?? NaN);
}

function parseAnswers(bytes) {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return [];
  const [statusLine, ...lines] = bytes.toString('latin1', 0, end).split('\r\n');
  const status = Number(statusLine.split(' ')[1]);
  const headers = new Headers(lines.map((line) => line.split(/:\s*(.*)/s).slice(0, 2)));
  const rest = bytes.subarray(end + 4);
  if (status < 200) return [{ status, headers }, ...parseAnswers(rest)];
  const length = Number(headers.get('content-length') ?? Infinity);
  return [{ status, headers, text: rest.subarray(0, length).toString() }, ...parseAnswers(rest.subarray(length))];
}
