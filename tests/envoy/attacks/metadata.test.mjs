// Rows M: the documents that are open to all, and what would make them say something else or open more.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { freePort } from '../../../demo/process.mjs';
import { JSON_HEADERS, toolCall } from '../support/client.mjs';
import { exchangeFrames } from '../support/http2-frames.mjs';
import { PROTOCOLS } from '../support/protocols.mjs';
import { raw } from '../support/raw-http.mjs';
import { each } from '../support/tables.mjs';
import { startTarget } from '../support/target.mjs';

const ROOT = '/.well-known/oauth-protected-resource';
const OWN = `${ROOT}/mcp`;
const AUTHORIZATION_SERVER = '/.well-known/oauth-authorization-server';
const LIST = JSON.stringify(toolCall('listAccounts'));

describe('metadata', () => {
  let target;
  let shim;
  let documents;
  before(async () => {
    const authorizationServer = await freePort();
    const issuer = `http://127.0.0.1:${authorizationServer}`;
    shim = { issuer, authorization_endpoint: `${issuer}/auth`, token_endpoint: `${issuer}/token`, response_types_supported: ['code'] };
    target = await startTarget({ echo: true, ports: { authorizationServer }, gateway: { set: { authorization_server_metadata: JSON.stringify(shim) } } });
    const resource = {
      resource: target.stack.gatewayUrl, authorization_servers: [issuer], scopes_supported: ['mcp:connect', 'pii:read', 'audit:read'],
      bearer_methods_supported: ['header'], resource_name: 'Enterprise Ledger',
    };
    documents = { [ROOT]: resource, [OWN]: resource, [AUTHORIZATION_SERVER]: shim };
  });
  afterEach(() => {
    assert.deepEqual(target.echo.take(), [], 'the MCP server hears of none of it');
    assert.deepEqual(target.stack.exchanges(), [], 'nor does the authorization server');
  });
  after(() => target?.stop());

  const assertServed = (answer, path) => {
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('content-type'), 'application/json');
    assert.equal(answer.headers.get('access-control-allow-origin'), '*');
    assert.deepEqual(JSON.parse(answer.text), documents[path]);
  };

  for (const [protocol, send] of Object.entries(PROTOCOLS)) {
    const get = (path, headers) => send(target.port, { method: 'GET', path, headers });

    test(`M01: the documents are open to GET, HEAD and OPTIONS, and to nothing else, over ${protocol}`, async () => {
      await each(Object.keys(documents), async (path) => {
        assertServed(await get(path), path);
        const head = await send(target.port, { method: 'HEAD', path });
        assert.deepEqual([head.status, head.text, head.headers.get('content-type')], [200, '', 'application/json']);
        const preflight = await send(target.port, { method: 'OPTIONS', path, headers: { origin: 'https://app.example', 'access-control-request-method': 'GET' } });
        assert.deepEqual([preflight.status, preflight.headers.get('access-control-allow-origin')], [204, '*']);
        for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'PROPFIND', 'TRACE']) {
          const answer = await send(target.port, { method, path, headers: { authorization: `Bearer ${target.mint.token()}`, ...Object.fromEntries(JSON_HEADERS) }, body: method === 'TRACE' ? '' : LIST });
          assert.deepEqual([answer.status, answer.headers?.get('allow')], [405, 'GET, HEAD, OPTIONS'], method);
          assert.doesNotMatch(answer.text, /authorization_servers|issuer/);
        }
      });
    });

    test(`M01: they are the same bytes for everybody, over ${protocol}`, async () => {
      for (const path of Object.keys(documents)) {
        const { text } = await get(path);
        await each([
          { authorization: `Bearer ${target.mint.token()}` }, { authorization: 'Bearer garbage' }, { authorization: 'Basic Zm9vOmJhcg==' }, { origin: 'https://evil.example' },
          { origin: 'null' }, { cookie: 'a=b' },
          { accept: 'text/html' }, { 'accept-encoding': 'gzip, br' }, { 'if-none-match': '*' }, { 'if-modified-since': new Date(Date.now() + 1e9).toUTCString() }, { range: 'bytes=0-3' },
          { 'mcp-protocol-version': '1999-01-01' },
          { 'mcp-session-id': 'x' }, { 'x-http-method-override': 'POST' }, { 'last-event-id': '1' },
        ], async (headers) => {
          const answer = await get(path, headers);
          assertServed(answer, path);
          assert.equal(answer.text, text);
          assert.deepEqual([answer.headers.get('content-encoding'), answer.headers.get('www-authenticate'), answer.headers.get('set-cookie')], [null, null, null]);
        });
        for (const query of ['?', '?a=b', '?access_token=x', '?resource=https://evil.example', '?/../mcp']) assert.equal((await get(path + query)).text, text);
      }
    });

    test(`M02: whatever a request says of its host, the document and the challenge say what is configured, over ${protocol}`, async () => {
      const ask = (headers) => send(target.port, { headers: { ...Object.fromEntries(JSON_HEADERS), ...headers }, body: LIST });
      const challenge = (await ask({})).headers.get('www-authenticate');
      const url = /resource_metadata="([^"]+)"/.exec(challenge)[1];
      assert.equal(url, new URL(OWN, target.stack.gatewayUrl).href);
      assertServed(await get(new URL(url).pathname), OWN);
      await each([
        { host: 'evil.example' }, { host: 'evil.example:443' }, { host: '127.0.0.1' }, { 'x-forwarded-host': 'evil.example' }, { 'x-forwarded-host': 'a, evil.example' },
        { 'x-forwarded-proto': 'https' }, { 'x-forwarded-proto': 'evil' },
        { 'x-forwarded-port': '666' }, { 'x-forwarded-prefix': '/evil' }, { 'x-forwarded-for': 'evil.example' }, { forwarded: 'host=evil.example;proto=https' }, { 'x-host': 'evil.example' },
        { 'x-original-host': 'evil.example' },
        { 'x-original-url': '/evil' }, { 'x-rewrite-url': '/evil' }, { 'x-envoy-original-path': '/evil' }, { 'x-forwarded-uri': '/evil' }, { referer: 'https://evil.example/' },
        { origin: 'https://evil.example' },
      ], async (headers) => {
        for (const path of Object.keys(documents)) {
          const answer = await get(path, headers);
          assertServed(answer, path);
          assert.doesNotMatch(JSON.stringify([...answer.headers]), /evil/);
        }
        const { status, headers: seen, text } = await ask(headers);
        assert.doesNotMatch(JSON.stringify([text, ...seen]), /evil/);
        assert.deepEqual([status, seen.get('www-authenticate')], headers.origin ? [403, null] : [401, challenge]);
      });
    });
  }

  test('M02: nor does a target that names its own host and scheme', async () => {
    for (const path of Object.keys(documents)) {
      assertServed(await raw(target.port, { method: 'GET', path: `http://evil.example${path}` }), path);
      const answer = await raw(target.port, { method: 'GET', path: `https://evil.example:444${path}` });
      assert.equal(answer.status, 403, 'Envoy\'s: there is no TLS');
      assert.doesNotMatch(answer.text, /evil/);
    }
    await each([['https', 'evil.example', true], ['http', 'evil.example', true], ['evil', 'evil.example', true], ['https', 'evil.example/x', false], ['http', 'user@evil.example', false]], async ([scheme, authority, isOne]) => {
      const { text } = await exchangeFrames(target.port, { fields: [[':method', 'GET'], [':path', ROOT], [':scheme', scheme], [':authority', authority]] });
      if (isOne) assert.deepEqual(JSON.parse(text), documents[ROOT]);
      else assert.equal(text, '');
    });
  });

  const NEAR = [
    `/${ROOT}`, `/${OWN}`, `${ROOT}/`, `${ROOT}//mcp`, `${OWN}/`, `${OWN}/x`, `${ROOT}/other`, `${ROOT}/MCP`, `${ROOT}/../mcp/`, `${ROOT}/../mcp`, `${ROOT}/../../mcp/`, `${ROOT};/mcp`,
    `${ROOT};/../mcp`, `${ROOT};`, `${ROOT}/..;/mcp`, `${ROOT}%2f..%2fmcp`, `${ROOT}%2fmcp`, `${ROOT}%2Fmcp`,
    `${ROOT}/%2e%2e/%2e%2e/mcp/`, `${ROOT}/..%2f..%2fmcp`, `${ROOT}%00`, `${ROOT}%3f`, `${ROOT}%23`, `${ROOT}#/mcp`, `${ROOT}.json`, `${ROOT}-x`, `${ROOT}x/mcp`,
    '/.WELL-KNOWN/oauth-protected-resource', '/.well-known/OAuth-Protected-Resource', '/%252ewell-known/oauth-protected-resource',
    '/.well-known', '/.well-known/', '/.well-known/x', `/mcp${ROOT}`, '/well-known/oauth-protected-resource', '/.well-known/openid-configuration', `${AUTHORIZATION_SERVER}/`,
    `${AUTHORIZATION_SERVER}/mcp`, `/${AUTHORIZATION_SERVER}`, `${AUTHORIZATION_SERVER}/../../mcp/`, `${AUTHORIZATION_SERVER};/../mcp`, `${AUTHORIZATION_SERVER}%2f..%2f..%2fmcp`,
  ];
  /** What Envoy makes plain before the filter sees it: a document's own path, or the endpoint's, where a token is due. */
  const NORMALISED = [[`/.${ROOT}`, ROOT], [`/x/..${OWN}`, OWN], ['/.well-known/./oauth-protected-resource', ROOT], ['/%2ewell-known/oauth-protected-resource', ROOT],
    [`/mcp/..${AUTHORIZATION_SERVER}`, AUTHORIZATION_SERVER], [`/mcp/..;${ROOT}`, ROOT],
    [`${ROOT}/../../mcp`], [`${OWN}/../../../mcp`], [`${ROOT}/%2e%2e/%2e%2e/mcp`], [`${AUTHORIZATION_SERVER}/../../mcp`], [`${ROOT}/..;/..;/mcp`], [`${ROOT}\\..\\..\\mcp`], [`${ROOT}/..\\..\\mcp`]];
  const frames = (method, path, headers, body) => exchangeFrames(target.port, {
    fields: [[':method', method], [':path', path], [':scheme', 'http'], [':authority', 'gateway'], ...headers], pieces: body ? [body] : [],
  });

  test('M03: a path that is nearly a document\'s is neither one nor open', async () => {
    const authorized = [...JSON_HEADERS, ['authorization', `Bearer ${target.mint.token()}`]];
    await each(NEAR, async (path) => {
      for (const [method, headers, body] of [['GET', [], ''], ['GET', authorized, ''], ['POST', JSON_HEADERS, LIST], ['POST', authorized, LIST]]) {
        const length = body ? [['content-length', body.length]] : [];
        const answer = await raw(target.port, { method, path, headers: [...headers, ...length], body });
        // Envoy refuses an escaped slash, a null byte and a fragment.
        const isEnvoys = /%2f|%00|#/i.test(path);
        assert.equal(answer?.status, isEnvoys ? 400 : 404, method);
        assert.doesNotMatch(answer.text, /authorization_servers|issuer|result/);
        const answer2 = await frames(method, path, headers, body);
        assert.deepEqual([answer2.reset, answer2.text && JSON.parse(answer2.text).error.code], [false, isEnvoys ? '' : 404], method);
      }
    });
  });

  test('M03: a path that leads to the endpoint through a document\'s asks for a token there', async () => {
    await each(NORMALISED, async ([path, document]) => {
      const got = await raw(target.port, { method: 'GET', path });
      if (document) assertServed(got, document);
      else assert.equal(got.status, 401);
      const posted = await raw(target.port, { path, headers: [...JSON_HEADERS, ['content-length', LIST.length]], body: LIST });
      assert.equal(posted.status, document ? 405 : 401);
      assert.equal(JSON.parse((await frames('POST', path, JSON_HEADERS, LIST)).text).error.code, document ? 405 : 401);
    });
  });

  test('M03: no path but these and the endpoint leads anywhere', async () => {
    const authorized = [...JSON_HEADERS, ['authorization', `Bearer ${target.mint.token()}`], ['content-length', LIST.length]];
    await each(['/', '/health', '/ready', '/admin', '/config_dump', '/sse', '/messages', '/.well-known/openid-configuration'], async (path) => {
      assert.equal((await raw(target.port, { method: 'GET', path })).status, 404);
      assert.equal((await raw(target.port, { path, headers: authorized, body: LIST })).status, 404);
    });
  });
});
