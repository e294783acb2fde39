// The official SDK 2.x in TypeScript, of all revisions up to 2026-07-28, behind node:http.
import { createServer } from 'node:http';
import { serveFetch } from '../../envoy/support/fetch-server.mjs';
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

listen(createServer((incoming, outgoing) => serveFetch(handler.fetch, incoming, outgoing)));
