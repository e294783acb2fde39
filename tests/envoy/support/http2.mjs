// HTTP/2 without TLS (prior knowledge), frame by frame where it matters.
import http2 from 'node:http2';

/**
 * Sends one request on a connection of its own: each of `pieces` as a DATA frame, then the end of the stream: on the
 * last frame, on an empty one (`emptyEnd`), or on `trailers`. `headers` is an object, or pairs, which may repeat a name.
 * Resolves to the answer; `{ reset }` if there is none.
 */
export async function request2(port, { headers, pieces = [], emptyEnd = false, trailers }, { seconds = 15 } = {}) {
  const session = connect2(port);
  try {
    const end = pieces.length === 0 && !trailers && !emptyEnd;
    const stream = session.request(fields(port, headers), { endStream: end, waitForTrailers: Boolean(trailers) });
    const answer = answerOf(stream, seconds);
    if (trailers) stream.once('wantTrailers', () => stream.sendTrailers(trailers));
    for (const [index, piece] of pieces.entries()) {
      const last = index === pieces.length - 1 && !emptyEnd && !trailers;
      if (last) stream.end(piece);
      else await new Promise((written) => stream.write(piece, written));
    }
    if (!end) stream.end();
    return await answer;
  } finally {
    session.destroy();
  }
}

/** A connection whose failures are those of its streams. */
export const connect2 = (port) => http2.connect(`http://127.0.0.1:${port}`, { strictSingleValueFields: false }).on('error', () => {});

/** All fields of a request to the MCP endpoint, in a row as Node takes them. */
export function fields(port, headers) {
  const given = Array.isArray(headers) ? headers : Object.entries(headers);
  const pseudo = { ':method': 'POST', ':path': '/mcp', ':scheme': 'http', ':authority': `127.0.0.1:${port}` };
  for (const [name, value] of given) if (name.startsWith(':')) pseudo[name] = value;
  return [...Object.entries(pseudo), ...given.filter(([name]) => !name.startsWith(':'))].flat().map(String);
}

function answerOf(stream, seconds) {
  return new Promise((resolve) => {
    let head;
    const chunks = [];
    stream.on('response', (headers) => { head = headers; });
    stream.on('data', (chunk) => chunks.push(chunk));
    stream.on('error', () => {});
    stream.setTimeout(seconds * 1000, () => stream.close());
    stream.once('close', () => resolve(head
      ? { status: head[':status'], headers: headersOf(head), text: Buffer.concat(chunks).toString() }
      : { reset: stream.rstCode }));
  });
}

/** Of an answer, without its pseudo-headers. */
export const headersOf = (head) => new Headers(Object.entries(head).filter(([name]) => !name.startsWith(':')).map(([name, value]) => [name, String(value)]));
