// A path that nearly names an endpoint: a server behind might read it as one (Express: /mcp/ and /MCP, Starlette: /%6dcp).
// Tokens are good and bodies are fine here; only the path is odd.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { call, each, JSON_HEADERS, startTarget } from './support/attacks.mjs';
import { exchangeFrames } from './support/http2-frames.mjs';
import { raw } from './support/raw-http.mjs';

const LIST = JSON.stringify(call('listAccounts'));

const NEAR = {
  T13: ['/%256dcp', '/mcp%2f', '/mcp%2F', '/mcp%5c', '/%2fmcp', '/mcp%00', '/mcp%20', '/mcp%3b', '/mcp%23', '/mcp%3fa', '/mc%', '/mcp%zz', '/mcp\xe9'],
  T14: ['//mcp', '///mcp', '/mcp/', '/mcp//', '/mcp/.', '/mcp;a=b', '/mcp;', '\\mcp', '/mcp\\', '/\\mcp', '/MCP', '/Mcp', '/mcp#f', '/mcp.json', '/mcp/x', '/mcp,', '/mcp:', '/x;/../mcp/',
    'mcp', '*', '/..%2fmcp', '/%2e%2e/mcp/', '/x/%2e%2e/mcp/'],
};

describe('paths', () => {
  let target;
  let authorized;
  before(async () => {
    target = await startTarget({ echo: true });
    authorized = [...JSON_HEADERS, ['authorization', `Bearer ${target.mint.token()}`]];
  });
  after(async () => {
    await target?.assertHealthy();
    await target?.stop();
  });

  const post = (path) => raw(target.port, { path, headers: [...authorized, ['content-length', LIST.length]], body: LIST });
  const post2 = (path) => exchangeFrames(target.port, { fields: [[':method', 'POST'], [':path', path], [':scheme', 'http'], [':authority', 'gateway'], ...authorized], pieces: [LIST] });

  for (const [row, paths] of Object.entries(NEAR)) {
    test(`${row}: a path that nearly names an endpoint is refused`, async () => {
      await each(paths, async (path) => {
        const answer = await post(path);
        // Envoy refuses some by closing the connection or by sending the client to the path without escapes.
        assert.ok(answer === undefined || (answer.status >= 300 && answer.status < 500), `${answer?.status}`);
        assert.equal(target.echo.take().length, 0);
      });
    });

    test(`${row}: over HTTP/2 too`, async () => {
      await each(paths, async (path) => {
        const answer = await post2(path);
        assert.ok(answer.reset || answer.text === '' || JSON.parse(answer.text).error, answer.text);
        assert.equal(target.echo.take().length, 0);
      });
    });
  }

  test('T14: what Envoy normalises is judged and sent as what it then is', async () => {
    await each(['/mcp', '/./mcp', '/x/../mcp', '/x/./../mcp', '/%6dcp', '/%6Dcp', '/mcp/..;/mcp', '/.;/mcp', '/mcp?a=b', '/mcp?', `http://127.0.0.1:${target.port}/mcp`, 'http://evil.example/mcp'], async (path) => {
      const answer = await post(path);
      const requests = target.echo.take();
      assert.ok(answer.status === 200 ? requests.length === 1 : answer.status < 500 && requests.length === 0, `${answer.status}`);
      assert.ok(requests.every(({ url }) => url.split('?')[0] === '/mcp'), requests[0]?.url);
    });
  });

  test('no other path has a token checked or leads anywhere', async () => {
    await each(['/', '/health', '/ready', '/admin', '/config_dump', '/sse', '/messages', '/.well-known/oauth-authorization-server', '/.well-known/openid-configuration'], async (path) => {
      assert.equal((await raw(target.port, { method: 'GET', path })).status, 404);
      assert.equal((await post(path)).status, 404);
    });
    assert.equal(target.echo.take().length, 0);
  });
});
