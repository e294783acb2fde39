// A stateful MCP server on the official SDK (1.32): sessions, server-sent events, and tools that ask the client.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

// The packages are the demo's.
const require = createRequire(new URL('../../../demo/package.json', import.meta.url));
const { McpServer } = require('@modelcontextprotocol/sdk/server/mcp.js');
const { StreamableHTTPServerTransport } = require('@modelcontextprotocol/sdk/server/streamableHttp.js');
const { ElicitResultSchema } = require('@modelcontextprotocol/sdk/types.js');

/**
 * `requests` is what arrived over HTTP, `heard` the messages that reached a session, `waiting` the calls of getTransactions
 * that go on until they are released or cancelled.
 */
export async function startStatefulServer() {
  const sessions = new Map();
  const [requests, heard, waiting] = [[], [], []];
  const server = createServer(async (request, response) => {
    const id = request.headers['mcp-session-id'];
    requests.push({ method: request.method, session: id, authorization: request.headers.authorization });
    try {
      if (id && !sessions.has(id)) return void response.writeHead(404).end();
      const transport = sessions.get(id) ?? await open({ sessions, heard, waiting });
      await transport.handleRequest(request, response);
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  });
  server.listen(0, '127.0.0.1');
  await new Promise((listening) => server.once('listening', listening));
  return {
    address: `127.0.0.1:${server.address().port}`,
    requests,
    heard,
    waiting,
    get sessions() { return [...sessions.keys()]; },
    stop() {
      server.closeAllConnections();
      return new Promise((closed) => server.close(closed));
    },
  };
}

async function open({ sessions, heard, waiting }) {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => sessions.set(id, transport),
    onsessionclosed: (id) => sessions.delete(id),
  });
  const server = new McpServer({ name: 'stateful', version: '1.0.0' });
  let calls = 0;
  const text = (value) => ({ content: [{ type: 'text', text: String(value) }] });
  server.registerTool('listAccounts', {}, () => text(calls += 1));
  server.registerTool('getAccount', {}, async () => {
    const params = { message: 'Which account?', requestedSchema: { type: 'object', properties: { account: { type: 'string' } } } };
    const { action, content } = await server.server.request({ method: 'elicitation/create', params }, ElicitResultSchema);
    return text(`${action} ${content?.account}`);
  });
  server.registerTool('getTransactions', {}, ({ signal, requestId }) => new Promise((resolve) => {
    const call = { session: transport.sessionId, id: requestId, cancelled: false, release: () => resolve(text('released')) };
    signal.addEventListener('abort', () => { call.cancelled = true; });
    waiting.push(call);
  }));
  await server.connect(transport);
  const deliver = transport.onmessage;
  transport.onmessage = (message, extra) => {
    heard.push({ session: transport.sessionId, ...message });
    deliver(message, extra);
  };
  return transport;
}
