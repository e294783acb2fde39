// The official SDK 2.x in TypeScript, of all revisions up to 2026-07-28, behind node:http.
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { executed, listen, require, TOOLS } from './log.mjs';

const { createMcpHandler, Server } = require('@modelcontextprotocol/server');

const handler = createMcpHandler(({ requestInfo }) => {
  const log = (message) => executed((name) => requestInfo.headers.get(name), message);
  const server = new Server({ name: 'oracle', version: '1.0.0' }, { capabilities: { tools: {} } });
  server.setRequestHandler('tools/call', (request) => {
    log(request);
    return { content: [{ type: 'text', text: request.params.name }] };
  });
  server.setRequestHandler('tools/list', (request) => {
    log(request);
    return { tools: TOOLS };
  });
  server.fallbackRequestHandler = async (request) => {
    log(request);
    return {};
  };
  return server;
});

async function serve(incoming, outgoing) {
  const { method, url, rawHeaders } = incoming;
  const headers = new Headers(Array.from({ length: rawHeaders.length / 2 }, (_, i) => rawHeaders.slice(2 * i, 2 * i + 2)));
  const body = ['GET', 'HEAD'].includes(method) ? undefined : Readable.toWeb(incoming);
  const response = await handler.fetch(new Request(new URL(url, 'http://127.0.0.1'), { method, headers, body, duplex: 'half' }));
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  if (response.body) Readable.fromWeb(response.body).on('error', () => outgoing.destroy()).pipe(outgoing);
  else outgoing.end();
}

listen(createServer((incoming, outgoing) => serve(incoming, outgoing).catch(() => outgoing.destroy())));
