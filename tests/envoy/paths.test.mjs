// Paths that nearly name a metadata document, or nothing at all. Tokens are good and bodies are fine; only the path is odd.
// What nearly names an endpoint stands in attacks/http.test.mjs.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { call, each, eachAtOnce, JSON_HEADERS, startTarget } from './support/attacks.mjs';
import { exchangeFrames } from './support/http2-frames.mjs';
import { raw } from './support/raw-http.mjs';

const LIST = JSON.stringify(call('listAccounts'));

const NEAR = ['//.well-known/oauth-protected-resource', '/.well-known/oauth-protected-resource/', '/.well-known/oauth-protected-resource/../mcp/',
  '/.well-known/oauth-protected-resource;/mcp', '/.well-known/oauth-protected-resource%2f..%2fmcp', '/.well-known/oauth-protected-resource/mcp/', '/.WELL-KNOWN/oauth-protected-resource'];

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

  test('M03: a path that nearly names the metadata is refused, on both HTTP versions', () => eachAtOnce(NEAR, async (path) => {
    const answer = await post(path);
    // Envoy refuses some by closing the connection or by sending the client to the path without escapes.
    assert.ok(answer === undefined || (answer.status >= 300 && answer.status < 500), `${answer?.status}`);
    const other = await post2(path);
    assert.ok(other.reset || other.text === '' || JSON.parse(other.text).error, other.text);
    assert.equal(target.echo.take().length, 0);
  }));

  test('no other path has a token checked or leads anywhere', async () => {
    await each(['/', '/health', '/ready', '/admin', '/config_dump', '/sse', '/messages', '/.well-known/oauth-authorization-server', '/.well-known/openid-configuration'], async (path) => {
      assert.equal((await raw(target.port, { method: 'GET', path })).status, 404);
      assert.equal((await post(path)).status, 404);
    });
    assert.equal(target.echo.take().length, 0);
  });
});
