// What a client of the official SDK and a server agree on, and whether what follows is served.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { parse, startEchoServer } from './support/echo-server.mjs';
import { startTarget } from './support/target.mjs';

// The packages are the demo's.
const require = createRequire(new URL('../../demo/package.json', import.meta.url));
const { Client } = require('@modelcontextprotocol/sdk/client/index.js');
const { StreamableHTTPClientTransport } = require('@modelcontextprotocol/sdk/client/streamableHttp.js');

/** A server without sessions that agrees on what it knows, the last of which it likes best. */
async function startServer(known) {
  const server = await startEchoServer();
  const results = {
    initialize: ({ protocolVersion }) => ({
      protocolVersion: known.includes(protocolVersion) ? protocolVersion : known.at(-1), capabilities: { tools: {} }, serverInfo: { name: 'test', version: '1' },
    }),
    'tools/list': () => ({ tools: [{ name: 'listAccounts', inputSchema: { type: 'object' } }] }),
    'tools/call': () => ({ content: [{ type: 'text', text: 'called' }] }),
  };
  server.answer = (outgoing, { method, body }) => {
    const message = parse(body);
    if (method !== 'POST') return outgoing.writeHead(405).end();
    if (message.id === undefined) return outgoing.writeHead(202).end();
    const answer = { jsonrpc: '2.0', id: message.id, result: results[message.method](message.params) };
    return outgoing.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  };
  return server;
}

for (const [what, known, set, agreed] of [
  ['2024-11-05, which an old server answers over Streamable HTTP', ['2024-11-05'], {}, '2024-11-05'],
  ['what is served, by a server that speaks more', ['2025-03-26', '2025-06-18', '2025-11-25'], { 'endpoints[0].revisions': '[2025-03-26, 2025-06-18]' }, '2025-06-18'],
  ['what the server speaks, which is less than is served', ['2025-03-26', '2025-06-18'], {}, '2025-06-18'],
]) {
  test(`a client of SDK 1.32 works under ${what}`, async () => {
    const target = await startTarget({ upstream: await startServer(known), gateway: { set } });
    try {
      const requestInit = { headers: { authorization: `Bearer ${target.mint.token()}` } };
      const transport = new StreamableHTTPClientTransport(new URL(target.stack.gatewayUrl), { requestInit });
      const client = new Client({ name: 'test', version: '1' });
      await client.connect(transport);
      assert.deepEqual((await client.listTools()).tools.map(({ name }) => name), ['listAccounts']);
      assert.equal((await client.callTool({ name: 'listAccounts', arguments: {} })).content[0].text, 'called');
      await client.close();
      const named = target.echo.take().map(({ headers }) => headers.find(([name]) => name === 'mcp-protocol-version')?.[1]);
      assert.deepEqual(new Set(named), new Set([undefined, agreed]));
    } finally {
      await target.stop();
    }
  });
}
