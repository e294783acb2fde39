// An upstream that believes everything: it records each request as it arrived and answers as if it had done what it asks.
import http from 'node:http';
import http2 from 'node:http2';

/** What it calls every session that it opens. */
export const SESSION = 'the-only-session';

/**
 * Speaks HTTP/1.1, or with `over: http2` HTTP/2 alone. `server.answer`, a function of the outgoing response and the request,
 * answers in its place while it is set.
 */
export async function startEchoServer({ over = http } = {}) {
  const requests = [];
  const connections = new Set();
  const server = over.createServer(async (incoming, outgoing) => {
    echo.begun += 1;
    const chunks = [];
    try {
      for await (const chunk of incoming) chunks.push(chunk);
    } catch {
      return; // aborted: nothing was executed
    }
    if (incoming.aborted) return;
    const { method, url, rawHeaders, rawTrailers } = incoming;
    const body = Buffer.concat(chunks);
    const request = { method, url, headers: pairs(rawHeaders), trailers: pairs(rawTrailers), body };
    requests.push(request);
    if (echo.answer) return void await echo.answer(outgoing, request);
    const message = parse(body);
    const answer = JSON.stringify({ jsonrpc: '2.0', id: message?.id ?? null, result: {} });
    if (message?.method === 'initialize') outgoing.setHeader('mcp-session-id', SESSION);
    outgoing.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(answer) });
    outgoing.end(answer);
  });
  server.on('connection', (socket) => {
    connections.add(socket);
    socket.on('close', () => connections.delete(socket));
  });
  server.keepAliveTimeout = 75_000; // longer than Envoy keeps an idle connection to us
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  const echo = {
    address: `127.0.0.1:${server.address().port}`,
    requests,
    /** How many requests have begun, if only with their headers. */
    begun: 0,
    /** How many connections are open. */
    get connections() { return connections.size; },
    /** The requests since the last time. */
    take: () => requests.splice(0),
    async stop() {
      connections.forEach((socket) => socket.destroy());
      await new Promise((closed) => server.close(closed));
    },
  };
  return echo;
}

const pairs = (raw) => Array.from({ length: raw.length / 2 }, (_, i) => [raw[2 * i].toLowerCase(), raw[2 * i + 1]]);

/** As a server in JavaScript reads it. */
export function parse(body) {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
