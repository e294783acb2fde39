// One request over either HTTP version, and all that the client sees of its answer.
import { request as httpRequest } from 'node:http';
import http2 from 'node:http2';
import { headersOf } from './http2.mjs';

/**
 * Each resolves to `{ status, headers, text, whole, interim, trailers }`: `whole` says whether the answer ended as it should,
 * `interim` holds the heads of informational answers. Without an answer, `status` is undefined. `onText` is called when some
 * of the body has come.
 */
export const PROTOCOLS = { 'HTTP/1.1': over1, 'HTTP/2': over2 };

const PATIENCE = 15_000; // longer than anything takes that does not hang

function over1(port, { method = 'POST', path = '/mcp', headers = {}, body = '', onText = () => {} }) {
  return new Promise((resolve) => {
    const seen = { text: '', whole: false, interim: [], trailers: {} };
    const request = httpRequest({ host: '127.0.0.1', port, method, path, agent: false, timeout: PATIENCE,
      headers: { ...headers, ...(body && { 'content-length': Buffer.byteLength(body) }) } });
    request.on('information', ({ statusCode, headers: head }) => seen.interim.push({ status: statusCode, headers: head }));
    request.on('upgrade', ({ statusCode }, socket) => { seen.status = statusCode; socket.destroy(); });
    request.on('timeout', () => request.destroy());
    request.on('error', () => {});
    request.on('close', () => resolve(seen));
    request.on('response', (response) => {
      Object.assign(seen, { status: response.statusCode, headers: headersOf(response.headersDistinct) });
      response.setEncoding('utf8').on('error', () => {});
      response.on('data', (text) => { seen.text += text; onText(); });
      response.on('end', () => Object.assign(seen, { whole: response.complete, trailers: response.trailers }));
    });
    request.end(body);
  });
}

async function over2(port, { method = 'POST', path = '/mcp', headers = {}, body = '', onText = () => {} }) {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  session.on('error', () => {});
  const { host, ...others } = headers;
  const head = { ':method': method, ':path': path, ...(host && { ':authority': host }), ...others };
  try {
    return await new Promise((resolve) => {
      const seen = { text: '', whole: false, interim: [], trailers: {} };
      const stream = session.request(head, { endStream: !body });
      stream.setEncoding('utf8').setTimeout(PATIENCE, () => stream.close());
      stream.on('headers', (informational) => seen.interim.push({ status: informational[':status'], headers: informational }));
      stream.on('response', (answer) => Object.assign(seen, { status: answer[':status'], headers: headersOf(answer) }));
      stream.on('trailers', (trailers) => { seen.trailers = { ...trailers }; });
      stream.on('data', (text) => { seen.text += text; onText(); });
      stream.on('end', () => { seen.whole = stream.rstCode === 0; });
      stream.on('error', () => { seen.whole = false; });
      stream.on('close', () => resolve({ ...seen, whole: seen.whole && stream.rstCode === 0 }));
      if (body) stream.end(body);
    });
  } finally {
    session.destroy();
  }
}
