// An upstream that answers as each test says, over HTTP/1.1 and HTTP/2 on one port.
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { connect, createServer } from 'node:net';
import { pipeline } from 'node:stream';

/**
 * `server.answer`, a function of the outgoing response and the incoming request, is each test's to set; `server.requests`
 * is what arrived.
 */
export async function startScriptedServer() {
  const sockets = new Set();
  const onRequest = async (incoming, outgoing) => {
    const chunks = [];
    try {
      for await (const chunk of incoming) chunks.push(chunk);
    } catch {
      return; // aborted: nothing was asked
    }
    incoming.body = Buffer.concat(chunks);
    const { method, url, headers, body } = incoming;
    scripted.requests.push({ method, url, headers, body: body.toString() });
    await scripted.answer(outgoing, incoming);
  };
  const http = createHttpServer(onRequest);
  http.keepAliveTimeout = 75_000; // longer than Envoy keeps an idle connection to us
  const http2 = createHttp2Server(onRequest).on('sessionError', () => {});
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket.on('error', () => {}).on('close', () => sockets.delete(socket)));
    socket.once('data', (first) => {
      // The preface of HTTP/2 (RFC 9113 section 3.4) is no request of HTTP/1.1.
      const { port } = (first.toString('latin1').startsWith('PRI ') ? http2 : http).address();
      const inner = connect({ port, host: '127.0.0.1', noDelay: true });
      inner.write(first);
      pipeline(socket, inner, socket, () => {});
    });
  });
  for (const one of [http, http2, server]) await new Promise((listening) => one.listen(0, '127.0.0.1', listening));
  const scripted = {
    address: `127.0.0.1:${server.address().port}`,
    requests: [],
    answer: (outgoing) => outgoing.end(),
    /** The requests since the last time. */
    take: () => scripted.requests.splice(0),
    async stop() {
      const closed = [http, http2, server].map((one) => new Promise((done) => one.close(done)));
      sockets.forEach((socket) => socket.destroy());
      await Promise.all(closed);
    },
  };
  return scripted;
}
