// The connections between Envoy and an MCP server.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { until } from '../../demo/process.mjs';
import { toolCall } from './support/client.mjs';
import { startEchoServer } from './support/echo-server.mjs';
import { startTarget } from './support/target.mjs';

describe('a connection to an MCP server', () => {
  let server;
  let target;
  before(async () => {
    server = await startEchoServer();
    target = await startTarget({ upstream: server, gateway: { workers: 1 } });
  });
  after(() => target?.stop());

  // Were the server first, a call that is on its way just then would be lost.
  test('that nobody uses is closed by Envoy, and not left to the server', async () => {
    assert.equal((await target.post(toolCall('listAccounts'))).status, 200);
    assert.equal(server.connections, 1);
    await until(() => server.connections === 0, 'the end of the connection, which this server never ends', { seconds: 30 });
    assert.equal((await target.post(toolCall('listAccounts'))).status, 200);
  });
});
