// An MCP server on the official SDK (2.x, stateless), with the one tool that is called; and what ext_authz asks beside it.
//
//   stdout: {"event":"ready","url"}
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { serveFetch } from '../../tests/envoy/support/fetch-server.mjs';
import { TOOL_ANSWER } from './upstream.mjs';

// The packages are the demo's.
const require = createRequire(new URL('../../demo/package.json', import.meta.url));
const { createMcpHandler, Server } = require('@modelcontextprotocol/server');

const handler = createMcpHandler(() => {
  const server = new Server({ name: 'bench', version: '1.0.0' }, { capabilities: { tools: {} } });
  server.setRequestHandler('tools/call', () => ({ content: [{ type: 'text', text: TOOL_ANSWER }] }));
  return server;
});

const server = createServer((incoming, outgoing) => {
  if (!incoming.url.startsWith('/allowed')) return void serveFetch(handler.fetch, incoming, outgoing);
  incoming.resume().on('end', () => outgoing.end());
});
server.keepAliveTimeout = 75_000; // longer than Envoy keeps an idle connection to us
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ event: 'ready', url: `http://127.0.0.1:${server.address().port}` })));
