// The official SDK 1.x in TypeScript, behind node:http; with the argument `express`, behind Express and its JSON parser.
import { createServer } from 'node:http';
import { executed, listen, require, TOOLS } from './log.mjs';

const { Server } = require('@modelcontextprotocol/sdk/server/index.js');
const { StreamableHTTPServerTransport } = require('@modelcontextprotocol/sdk/server/streamableHttp.js');
const { CallToolRequestSchema, ListToolsRequestSchema } = require('@modelcontextprotocol/sdk/types.js');

async function serve(incoming, outgoing, body) {
  const log = (message) => executed((name) => incoming.headers[name], message);
  const server = new Server({ name: 'oracle', version: '1.0.0' }, { capabilities: { tools: {} } });
  server.setRequestHandler(CallToolRequestSchema, (request) => {
    log(request);
    return { content: [{ type: 'text', text: request.params.name }] };
  });
  server.setRequestHandler(ListToolsRequestSchema, (request) => {
    log(request);
    return { tools: TOOLS };
  });
  server.fallbackRequestHandler = async (request) => {
    log(request);
    return {};
  };
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  outgoing.on('close', () => server.close());
  await server.connect(transport);
  await transport.handleRequest(incoming, outgoing, body);
}

if (process.argv[2] === 'express') {
  const express = require('express');
  const app = express();
  app.use(express.json());
  app.all('/mcp', (request, response) => serve(request, response, request.body));
  listen(createServer(app));
} else {
  listen(createServer((request, response) => serve(request, response)));
}
