// An upstream that answers as each test says.
import { createServer } from 'node:http';

/** `server.answer`, a function of the outgoing response and the incoming request, is each test's to set. */
export async function startScriptedServer() {
  const server = createServer(async (incoming, outgoing) => {
    const chunks = [];
    for await (const chunk of incoming) chunks.push(chunk);
    incoming.body = Buffer.concat(chunks);
    await scripted.answer(outgoing, incoming);
  });
  server.keepAliveTimeout = 75_000; // longer than Envoy keeps an idle connection to us
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  const scripted = {
    address: `127.0.0.1:${server.address().port}`,
    answer: (outgoing) => outgoing.end(),
    async stop() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
  return scripted;
}
