// An MCP server that answers every call alike, as fast as it can.
//
//   stdout: {"event":"ready","url"}
import { createServer } from 'node:http';

const BODY = JSON.stringify({ jsonrpc: '2.0', id: 1, result: { content: [] } });
const HEAD = { 'content-type': 'application/json', 'content-length': BODY.length };
const server = createServer((request, response) => {
  request.resume().on('end', () => response.writeHead(200, HEAD).end(BODY));
});
server.keepAliveTimeout = 75_000; // longer than Envoy keeps an idle connection to us
server.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ event: 'ready', url: `http://127.0.0.1:${server.address().port}` }));
});
