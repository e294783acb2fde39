// Tokens that are not good, and the ways of sending one that are not: each is refused, over either HTTP version, and
// nothing of it reaches the ledger.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, afterEach, before, describe, test } from 'node:test';
import { JSON_HEADERS, toolCall } from './support/client.mjs';
import { request2 } from './support/http2.mjs';
import { raw } from './support/raw-http.mjs';
import { each } from './support/tables.mjs';
import { startTarget } from './support/target.mjs';
import { inSeconds } from './support/tokens.mjs';

const LIST = JSON.stringify(toolCall('listAccounts'));

describe('tokens', () => {
  let target;
  let good;
  before(async () => {
    target = await startTarget();
    good = target.mint.token();
  });
  after(async () => {
    await target?.assertHealthy();
    await target?.stop();
  });
  let known = 0;
  afterEach(() => {
    const reached = target.stack.ledgerRequests().slice(known);
    known += reached.length;
    assert.deepEqual(reached, [], 'nothing reached the ledger');
  });

  const ask = (headers, { path, http = raw } = {}) => (http === raw
    ? raw(target.port, { path, headers: [...JSON_HEADERS, ...headers, ['content-length', LIST.length]], body: LIST })
    : request2(target.port, { headers: { ...Object.fromEntries(JSON_HEADERS), ':path': path ?? '/mcp', ...Object.fromEntries(headers) }, pieces: [LIST] }));

  const bearer = (token) => [['authorization', `Bearer ${token}`]];

  /** One answer for every cause: it tells nobody which check failed. */
  const assertRejected = (answer) => {
    assert.equal(answer?.status, 401);
    assert.match(answer.headers.get('www-authenticate'), /^Bearer error="invalid_token", scope="mcp:connect", resource_metadata="http:[^"]+"$/);
    assert.deepEqual(JSON.parse(answer.text), { jsonrpc: '2.0', id: null, error: { code: 401, message: 'The access token is not accepted.' } });
  };
  const assertUnauthenticated = (answer) => {
    assert.equal(answer?.status, 401);
    assert.match(answer.headers.get('www-authenticate'), /^Bearer scope="mcp:connect", resource_metadata="http:[^"]+"$/);
  };

  const badTokens = () => {
    const { mint } = target;
    const another = { ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }), alg: 'RS256' };
    const [header, , signature] = good.split('.');
    return {
      expired: mint.token({ iat: inSeconds(-900), exp: inSeconds(-300) }),
      'no exp': mint.token({ exp: undefined }),
      'another key under a known kid': mint.token({}, {}, { key: another }),
      'alg none': `${mint.token({}, { alg: 'none' }).split('.').slice(0, 2).join('.')}.`,
      'alg None, with a signature': mint.token({}, { alg: 'None' }),
      'bound to a key that was not proven': mint.token({ cnf: { jkt: '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I' } }),
      'changed claims': `${header}.${Buffer.from(JSON.stringify(mint.claims({ sub: 'root' }))).toString('base64url')}.${signature}`,
      'no JWS': 'a.b.c',
      garbage: 'correct-horse-battery-staple',
      'five parts': 'a.b.c.d.e',
      '20 kB': `${header}.${'A'.repeat(20_000)}.${signature}`,
      'C1 controls': 'aaa\x80\x9fbbb',
      'not UTF-8': 'caf\xe9',
    };
  };

  test('L05: every bad token gets the same answer', async () => {
    await each(Object.entries(badTokens()), async ([, token]) => assertRejected(await ask(bearer(token))));
  });

  test('L05: over HTTP/2 too', async () => {
    await each(Object.entries(badTokens()), async ([, token]) => assertRejected(await ask(bearer(token), { http: request2 })));
  });

  test('what is no bearer token is none', async () => {
    const values = ['', 'Bearer', 'Bearer ', 'Bearer    ', `Basic ${btoa('sarah:judgmentday')}`, `DPoP ${good}`, good, `Token ${good}`, `Bearer\xa0${good}`];
    await each(values, async (value) => assertUnauthenticated(await ask([['authorization', value]])));
    assertUnauthenticated(await ask([]));
  });

  test('a token in the query is refused, though the header has a good one, and stays out of the log', async () => {
    await each(['access_token', 'ACCESS_TOKEN', 'access%5ftoken', 'a=b&access_token'], async (name) => {
      assert.equal((await ask(bearer(good), { path: `/mcp?${name}=${good}` })).status, 400);
    });
    assert.ok(!target.envoyLog().includes(good));
  });

  test('bytes that are not UTF-8, in any header, kill no worker', async () => {
    const names = ['authorization', 'x-request-id', 'origin', 'content-type', 'mcp-protocol-version', 'mcp-name', 'mcp-session-id', 'user-agent', 'cookie', 'x-anything', 'accept'];
    await each(names, async (name) => {
      const mine = name === 'authorization' ? [] : [['authorization', 'Bearer a.b.c']];
      for (const value of ['caf\xe9', '\xff\xfe', '\xc0\xaf']) {
        const answer = await ask([...mine, [name, value]]);
        assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status}`);
      }
    });
  });

  test('a browser may ask before it sends, from an allowed origin', async () => {
    const preflight = (origin) => raw(target.port, { method: 'OPTIONS', headers: [['origin', origin],
      ['access-control-request-method', 'POST'], ['access-control-request-headers', 'authorization,content-type']] });
    const own = new URL(target.stack.gatewayUrl).origin;
    const allowed = await preflight(own);
    assert.equal(allowed.status, 204);
    assert.equal(allowed.headers.get('access-control-allow-origin'), own);
    assert.match(allowed.headers.get('access-control-allow-headers'), /authorization/);
    assert.equal((await preflight('https://evil.example')).status, 403);
  });
});
