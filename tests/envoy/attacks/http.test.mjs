// HTTP that two servers read differently, or that would take a request past the filter. The upstream believes anything.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, afterEach, before, describe } from 'node:test';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { JOHN, SARAH } from '../../../demo/people.mjs';
import { current, JSON_HEADERS, toolCall } from '../support/client.mjs';
import { SESSION } from '../support/echo-server.mjs';
import { exchangeFrames } from '../support/http2-frames.mjs';
import { request2 } from '../support/http2.mjs';
import { chunked, exchangeBytes, raw } from '../support/raw-http.mjs';
import { each, eachAtOnce, rowsOf } from '../support/tables.mjs';
import { assertDelegated, startTarget } from '../support/target.mjs';
import { ROWS } from './rows.mjs';

const row = rowsOf(ROWS);
const LIST = JSON.stringify(toolCall('listAccounts'));
const PII = JSON.stringify(toolCall('getCustomerPII'));
const MULTIBYTE = JSON.stringify(toolCall('getAccount', { accountId: 'é漢😀' }));

// Both routes to the upstream send a request again: when it fails, and when it is sent elsewhere. Only /mcp is protected.
const AGAIN = 'retry_policy: {retry_on: 5xx, num_retries: 2}, internal_redirect_policy: {max_internal_redirects: 3, redirect_response_codes: [301, 302, 303, 307, 308]}';
const withRetries = (text) => {
  const edited = text.replace(/^( +)- match: \{path: \/mcp\}\n +route:\n/m, (mcp, indent) => [
    `${indent}- match: {prefix: /open}`, `${indent}  route: {cluster: enterprise_ledger, ${AGAIN}}`,
    mcp.trimEnd(), ...AGAIN.split(/, (?=internal)/).map((line) => `${indent}    ${line}`), ''].join('\n'));
  assert.notEqual(edited, text);
  return edited;
};

describe('HTTP', () => {
  let target;
  let token;
  let good;
  before(async () => {
    target = await startTarget({ echo: true, sessions: true, gateway: { set: { ignore: '[{path_prefix: /open}]' }, edit: { 'envoy.yaml': withRetries } } });
    token = target.mint.token();
    good = target.headers([], token);
  });
  after(async () => {
    await target?.assertHealthy();
    await target?.stop();
  });
  afterEach(() => {
    target.echo.answer = undefined;
    assert.deepEqual(target.echo.take(), [], 'nothing else reached the upstream');
  });

  const sent = () => target.echo.take().map(({ body }) => body.toString());
  const lists = (request) => target.passes('ledger:ListAccounts', request);
  const withType = (...types) => ({ headers: [...good.filter(([name]) => name !== 'content-type'), ...types.map((type) => ['content-type', type])], body: LIST });
  const frames = (more, options = {}) => exchangeFrames(target.port, { fields: [[':method', 'POST'], [':path', '/mcp'], [':scheme', 'http'], [':authority', 'gateway'], ...good, ...more], pieces: [LIST], ...options });
  /** The HTTP status is this one, or over HTTP/2 that one (none: there is no answer at all), and nothing goes up. */
  const turnedAway = ([status, overHttp2], request) => target.eachWay(request, (answer, way) => {
    assert.deepEqual([answer?.status, sent()], [way === 'HTTP/2' ? overHttp2 : status, []]);
  });

  row('T01', () => each(['text/plain', 'text/plain;charset=UTF-8', 'text/html', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=a', 'application/octet-stream', 'text/event-stream'], (type) => target.refuses(415, 415, withType(type))));

  row('T02', () => each([[], [''], ['application/json-rpc'], ['application/vnd.x+json'], ['text/plain; a=application/json'], ['application/jsonp'], ['application/json; boundary=x'], ['application/json;'], ['application/ json'], ['application'],
    ['*/*'], ['json'], ['application/json\xa0'], ['"application/json"']], (types) => target.refuses(415, 415, withType(...types))));

  row('T03', async () => {
    await each([['application/json', 'text/plain'], ['text/plain', 'application/json'], ['application/json', 'application/json'], ['application/json, text/plain'], ['application/json , text/plain'],
      ['text/plain, application/json'], ['application/json;charset=utf-8, text/plain'], ['application/json; charset=utf-8', 'application/json; charset=utf-7']], (types) => target.refuses(415, 415, withType(...types)));
    await each(['APPLICATION/JSON', 'application/json;charset=UTF-8', 'Application/Json; charset="utf-8"'], (type) => lists(withType(type)));
  });

  row('T04', async () => {
    const encoded = (values, body) => ({ headers: [...good, ...values.map((value) => ['content-encoding', value])], body });
    for (const [name, body] of [['gzip', gzipSync(LIST)], ['x-gzip', gzipSync(LIST)], ['deflate', deflateSync(LIST)], ['br', brotliCompressSync(LIST)], ['zstd', 'x'], ['GZIP', gzipSync(LIST)]]) {
      await each([[name], [`${name}, identity`], [`identity, ${name}`], ['identity', name], [`${name},${name}`]], (values) => target.refuses(415, 415, encoded(values, body)));
      await target.refuses(415, 415, encoded([name], LIST));
    }
    await target.refuses(415, 415, encoded([''], LIST));
    await lists(encoded(['identity'], LIST));
    // As a transfer coding it is no business of the filter's: Envoy refuses it.
    const answer = await raw(target.port, { headers: [...good, ['transfer-encoding', 'gzip, chunked']], body: chunked([gzipSync(LIST)]) });
    assert.equal(answer?.status, 501);
  });

  row('T05', () => each([gzipSync(LIST), deflateSync(LIST), brotliCompressSync(LIST)], (body) => target.refuses(400, -32700, body)));

  row('T06', async () => {
    const bytes = Buffer.from(MULTIBYTE);
    const one = Array.from(bytes, (byte) => Buffer.from([byte]));
    const chunks = await raw(target.port, { headers: [...good, ['transfer-encoding', 'chunked']], body: chunked(one) });
    assert.deepEqual([chunks.status, sent()], [200, [MULTIBYTE]]);
    const packets = await raw(target.port, { headers: [...good, ['content-length', bytes.length]], body: Array.from({ length: 9 }, (_, i) => [bytes.subarray(i * 16, i === 8 ? undefined : i * 16 + 16), 5]).flat() });
    assert.deepEqual([packets.status, sent()], [200, [MULTIBYTE]]);
    for (const emptyEnd of [false, true]) {
      const answer = await request2(target.port, { headers: good, pieces: one, emptyEnd });
      assert.deepEqual([answer.status, sent()], [200, [MULTIBYTE]]);
    }
    // What is forbidden stays so, wherever it is cut.
    for (let at = 1; at < PII.length; at += 7) {
      const pieces = [PII.slice(0, at), PII.slice(at)];
      assert.equal((await raw(target.port, { headers: [...good, ['transfer-encoding', 'chunked']], body: chunked(pieces) })).status, 403);
      assert.equal((await request2(target.port, { headers: good, pieces })).status, 403);
    }
    // Chunk extensions, and a body that goes on after the message.
    const extended = await raw(target.port, { headers: [...good, ['transfer-encoding', 'chunked']], body: `${LIST.length.toString(16)};a="\r\n0"\r\n${LIST}\r\n0\r\n\r\n` });
    assert.equal(extended?.status, 400);
    const more = await raw(target.port, { headers: [...good, ['transfer-encoding', 'chunked']], body: chunked([LIST, PII]) });
    assert.equal(more.status, 400);
  });

  row('T08', async () => {
    const trailers = { authorization: `Bearer ${target.mint.token({ scope: 'mcp:connect pii:read' })}`, 'x-mcp-user': 'root', 'content-type': 'text/plain', 'mcp-name': 'getCustomerPII' };
    const ask = {
      'HTTP/1.1': (headers, body) => raw(target.port, { headers: [...headers, ['transfer-encoding', 'chunked']], body: chunked([body], Object.entries(trailers)) }),
      'HTTP/2': (headers, body) => request2(target.port, { headers, pieces: [body], trailers }),
    };
    await each(Object.entries(ask), async ([, send]) => {
      assert.equal((await send(good, LIST)).status, 200);
      const [request] = target.echo.take();
      assert.deepEqual([request.body.toString(), request.trailers], [LIST, []]);
      assertDelegated(request, SARAH.user, 'ledger:ListAccounts');
      // A token there is none, and raises nobody.
      assert.equal((await send(JSON_HEADERS, LIST)).status, 401);
      assert.equal((await send(good, PII)).status, 403);
      assert.equal((await send(good, '')).status, 400);
    });
    const alone = await request2(target.port, { headers: good, trailers });
    assert.equal(alone.status, 400);
    const get = await request2(target.port, { headers: [[':method', 'GET'], ...good], trailers });
    assert.deepEqual([get.status, target.echo.take().map((request) => request.trailers)], [200, [[]]]);
  });

  row('T11', async () => {
    const length = `${LIST.length}`;
    const expected = ['POST /mcp HTTP/1.1', 'host: x', ...good.map(([name, value]) => `${name}: ${value}`), 'expect: 100-continue', `content-length: ${length}`, 'connection: close', '', ''].join('\r\n');
    assert.deepEqual([(await exchangeBytes(target.port, [expected, 200, LIST])).map(({ status }) => status), sent()], [[100, 200], [LIST]]);

    // HTTP/2 with the content length that it has, and with another.
    assert.deepEqual([(await frames([['content-length', length]])).reset, sent()], [false, [LIST]]);
    await eachAtOnce([LIST.length - 1, LIST.length + 1, 0, -1, `${length}, 3`, '0x10', `${length}, ${length}`].map(String), async (other) => {
      const { reset, text } = await frames([['content-length', other]]);
      assert.ok(reset, text);
    });
    // HTTP/2 with the framing of HTTP/1.1, capitals, line ends, and pseudo headers that are twice there, late or unknown.
    await eachAtOnce([['transfer-encoding', 'chunked'], ['connection', 'keep-alive'], ['upgrade', 'h2c'], ['Content-Type', 'text/plain'], ['x\r\ny', 'z'], ['x-a', 'b\r\nx-mcp-user: root'], ['x-a', 'b\0c'], ['', 'a'],
      [':path', '/other'], [':method', 'GET'], [':authority', 'other'], [':status', '200'], [':protocol', 'websocket'], [':unknown', 'a']], async (field) => {
      const { reset, text } = await frames([field]);
      assert.ok(reset, text);
    });
    assert.ok((await frames([['content-length', length], ['content-length', '3']])).reset);
    assert.deepEqual(sent(), []);

    // HTTP/1.1 with two framings: what follows must not be a second request.
    const smuggled = `POST /mcp HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\n\r\n${LIST}`;
    const attempts = {
      'length and chunked': [400, ['content-length', '5'], ['transfer-encoding', 'chunked']],
      'chunked twice': [501, ['transfer-encoding', 'chunked'], ['transfer-encoding', 'chunked']],
      'chunked not last': [501, ['transfer-encoding', 'chunked, gzip']],
      'chunked, nearly': [400, ['transfer-encoding', 'xchunked'], ['content-length', '5']],
      'a tab before chunked': [400, ['transfer-encoding', '\tchunked\v'], ['content-length', '5']],
      'two lengths': [400, ['content-length', length], ['content-length', '3']],
      'a signed length': [400, ['content-length', `+${length}`]],
      'a length with a comma': [400, ['content-length', `${length}, 3`]],
      'a length in hex': [400, ['content-length', `0x${LIST.length.toString(16)}`]],
      'a space before the colon': [400, ['transfer-encoding ', 'chunked'], ['content-length', '5']],
    };
    await eachAtOnce(Object.entries(attempts), async ([, [status, ...framing]]) => {
      const answer = await raw(target.port, { headers: [...good, ...framing], body: [...chunked([LIST]), smuggled] });
      assert.equal(answer?.status, status);
    });
    assert.deepEqual(sent(), []);

    // Envoy goes on in HTTP/1.1 where it is offered HTTP/2, and refuses the others.
    for (const [protocol, status, bodies] of [['websocket', 403, []], ['h2c', 200, [LIST]], ['TLS/1.2', 403, []]]) {
      const answer = await raw(target.port, { headers: [...good, ['connection', 'upgrade, http2-settings'], ['upgrade', protocol], ['http2-settings', 'AAMAAABkAAQCAAAAAAIAAAAA'], ['content-length', length]], body: LIST, close: false });
      const requests = target.echo.take();
      assert.deepEqual([answer?.status, requests.map(({ body }) => body.toString())], [status, bodies]);
      for (const { headers } of requests) assert.ok(!headers.some(([name]) => name === 'upgrade'));
    }
    // RFC 9112 section 5.2: an obsolete fold is a space before anyone judges it.
    const folded = await raw(target.port, { headers: [['authorization', `Bearer\r\n ${token}`], ...JSON_HEADERS, ['content-length', length]], body: LIST });
    const unfolded = target.echo.take();
    assert.deepEqual([folded?.status, unfolded.length], [200, 1]);
    assertDelegated(unfolded[0], SARAH.user, 'ledger:ListAccounts');
    const tunnel = await raw(target.port, { method: 'CONNECT', path: target.echo.address, headers: good });
    assert.equal(tunnel?.status, 404);
  });

  // A server behind might read these as the endpoint (Express: /mcp/ and /MCP, Starlette: /%6dcp).
  const nearly = ([status, overHttp2], paths) => eachAtOnce(paths, async (path) => {
    const answer = await raw(target.port, { path, headers: [...good, ['content-length', LIST.length]], body: LIST });
    assert.equal(answer?.status, status);
    const other = await exchangeFrames(target.port, { fields: [[':method', 'POST'], [':path', path], [':scheme', 'http'], [':authority', 'gateway'], ...good], pieces: [LIST] });
    assert.deepEqual([other.reset, other.text && JSON.parse(other.text).error.code], overHttp2);
  });
  /** Envoy's own refusals, with no body over HTTP/2 or by a reset, and the filter's. */
  const [BY_ENVOY, BY_RESET, BY_FILTER] = [[400, [false, '']], [400, [true, '']], [404, [false, 404]]];

  row('T13', async () => {
    await nearly(BY_ENVOY, ['/mcp%2f', '/mcp%2F', '/mcp%5c', '/%2fmcp', '/mcp%00', '/open%2f..%2fmcp', '/open/%2e%2e%2fmcp', '/open/..%5cmcp', '/open%00/../mcp']);
    await nearly(BY_FILTER, ['/%256dcp', '/mcp%20', '/mcp%3b', '/mcp%23', '/mcp%3fa', '/mc%', '/mcp%zz', '/mcp%c3%a9', '/mcp%u002f']);
    await nearly([400, [false, 404]], ['/mcp\xe9']);
  });

  row('T14', async () => {
    await nearly(BY_ENVOY, ['/mcp#f', '/..%2fmcp']);
    await nearly(BY_RESET, ['\\mcp', 'mcp', '*']);
    await nearly(BY_FILTER, ['//mcp', '///mcp', '/mcp/', '/mcp//', '/mcp/.', '/mcp;a=b', '/mcp;', '/mcp\\', '/\\mcp', '/MCP', '/Mcp', '/mcp.json', '/mcp/x', '/mcp,', '/mcp:', '/x;/../mcp/', '/%2e%2e/mcp/', '/x/%2e%2e/mcp/',
      '/open/../MCP', '/open/../mcp/', '/open;/../mcp/', '/open/..;/mcp/', '/open/%2e%2e/mcp/']);
    // What Envoy normalises is judged and sent as what it then is.
    await each(['/mcp', '/./mcp', '/x/../mcp', '/x/./../mcp', '/open/../mcp', '/open/..;/mcp', '/open\\..\\mcp', '/open/%2e%2e/mcp', '/%6dcp', '/%6Dcp', '/mcp/..;/mcp', '/.;/mcp', '/mcp?a=b', '/mcp?', `http://127.0.0.1:${target.port}/mcp`, 'http://evil.example/mcp'], async (path) => {
      const ask = (body) => raw(target.port, { path, headers: [...good, ['content-length', body.length]], body });
      const answer = await ask(LIST);
      const requests = target.echo.take();
      assert.deepEqual([answer.status, requests.map(({ url }) => url.split('?')[0])], [200, ['/mcp']]);
      assertDelegated(requests[0], SARAH.user, 'ledger:ListAccounts');
      assert.equal((await ask(PII)).status, 403);
      assert.deepEqual(sent(), []);
    });
  });

  const anonymous = (more) => ({ headers: [...JSON_HEADERS, ...more], body: LIST });

  row('T16', () => each([[['cookie', `access_token=${token}`]], [['cookie', `Authorization=Bearer ${token}`]], [['proxy-authorization', `Bearer ${token}`]], [['x-forwarded-access-token', token]], [['x-authorization', `Bearer ${token}`]],
    [['authentication', `Bearer ${token}`]], [['cookie', `access_token=${token}`], ['authorization', 'Basic Og==']]], (more) => target.refuses(401, 401, anonymous(more))));

  row('T17', async () => {
    for (const method of ['GET', 'DELETE']) {
      await each([LIST, ' ', PII], (body) => target.refuses(400, 400, { method, headers: good, body }));
      await target.refuses(401, 401, { method, headers: JSON_HEADERS });
      await target.refuses(405, 405, { method, headers: [...good, ['mcp-protocol-version', '2026-07-28']] });
      await target.refuses(400, -32022, { method, headers: [...good, ['mcp-protocol-version', '2099-01-01']] });
      await target.passes('ledger:Connect', { method, headers: good }, (request) => assert.equal(request.method, method));
    }
    // To resume a stream, a client says of which session.
    await target.refuses(403, 403, { method: 'GET', headers: [...good, ['last-event-id', '1']] });
    // On a stream a list is a list.
    target.echo.answer = (outgoing) => outgoing.writeHead(200, { 'content-type': 'text/event-stream' }).end(`data: ${JSON.stringify({ result: { tools: [{ name: 'listAccounts' }, { name: 'dropAllAccounts' }] } })}\n\n`);
    await target.eachWay({ method: 'GET', headers: good }, ({ text }) => assert.ok(text.includes('listAccounts') && !text.includes('dropAll'), text));
    target.echo.take();
  });

  row('T18', async () => {
    const [sarahs, johns] = [await target.openSession(), await target.openSession(target.mint.token({ sub: JOHN.user }))];
    const end = (...ids) => ({ method: 'DELETE', headers: [...good, ...ids.map((id) => ['mcp-session-id', id])] });
    const altered = sarahs.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'));
    await each([[johns], [SESSION], [altered], [`${sarahs}.`], [sarahs.toUpperCase()], [sarahs, johns], [johns, sarahs], [sarahs, sarahs], [`${sarahs},${johns}`], ['']], (ids) => target.refuses(404, 404, end(...ids)));
    // The same person through another client is another principal.
    await target.refuses(404, 404, { method: 'DELETE', headers: [...target.headers([], target.mint.token({ client_id: 'another-client' })), ['mcp-session-id', sarahs]] });
    await target.refuses(401, 401, { method: 'DELETE', headers: [['mcp-session-id', sarahs]] });
    await target.passes('ledger:Connect', end(sarahs), ({ headers }) => assert.deepEqual(headers.filter(([name]) => name === 'mcp-session-id'), [['mcp-session-id', SESSION]]));
  });

  row('T19', async () => {
    // Of HTTP/1.1 Envoy knows the methods.
    await each([...['PUT', 'PATCH', 'HEAD', 'PROPFIND', 'TRACE', 'QUERY', 'LINK'].map((method) => [method, 405]), ...['post', 'Post', 'POSTX'].map((method) => [method, 400])], async ([method, status]) => {
      await turnedAway([status, 405], { method, headers: good });
      await turnedAway([status, 405], { method, headers: good, body: LIST });
    });
    // A browser's question is answered here, and is no way in.
    await turnedAway([204, 204], { method: 'OPTIONS', headers: good, body: LIST });
    await turnedAway([403, 403], { method: 'OPTIONS', headers: [...good, ['origin', 'https://evil.example']] });
    for (const method of ['POST', 'PUT', 'DELETE']) await turnedAway([405, 405], { method, path: '/.well-known/oauth-protected-resource', headers: good });
  });

  const names = ({ headers }) => headers.map(([name]) => name);
  const OVERRIDES = ['x-http-method-override', 'x-http-method', 'x-method-override', 'X-HTTP-Method-Override'];

  row('T20', async () => {
    const more = OVERRIDES.map((name) => [name, 'DELETE']);
    const kept = (request) => assert.deepEqual(names(request).filter((name) => name.includes('method')), []);
    await target.passes('ledger:ListAccounts', { headers: [...good, ...more], body: LIST }, kept);
    await target.passes('ledger:Connect', { method: 'GET', headers: [...good, ...more] }, kept);
    for (const method of ['GET', 'DELETE']) await target.refuses(400, 400, { method, headers: [...good, ['x-http-method-override', 'POST']], body: LIST });
    await target.refuses(403, 403, { path: '/mcp?_method=GET', headers: good, body: PII });
    await target.refuses(405, 405, { method: 'PUT', headers: [...good, ['x-http-method-override', 'POST']] });
  });

  row('T21', async () => {
    const two = (first, second) => [['authorization', `Bearer ${first}`], ['authorization', `Bearer ${second}`]];
    await turnedAway([400, 400], anonymous(two(token, '')));
    for (const [first, second] of [[token, 'attacker'], ['attacker', token], [token, token], [token, target.mint.token()]]) {
      await turnedAway([400, 400], anonymous(two(first, second)));
      await turnedAway([400, 400], anonymous([['Authorization', `Bearer ${first}`], ['AUTHORIZATION', `Bearer ${second}`]]));
      await each([`Bearer ${first}, Bearer ${second}`, `Bearer ${first},${second}`], (value) => turnedAway([400, 400], anonymous([['authorization', value]])));
      await each([`Bearer ${first} Bearer ${second}`, `Bearer ${first} ${second}`, `Bearer ${first}\t${second}`, `Bearer ${first};${second}`], (value) => turnedAway([401, 401], anonymous([['authorization', value]])));
    }
    await turnedAway([400, 400], anonymous([['authorization', 'Basic Og=='], ['authorization', `Bearer ${token}`]]));
    // Envoy makes one value of these, and an empty one adds nothing to it.
    await lists(anonymous([['authorization', ''], ['authorization', `Bearer ${token}`]]));
    for (const path of [`/mcp?access_token=${token}`, `/mcp?a=b&ACCESS_TOKEN=${token}`, `/mcp?access%5ftoken=${token}`]) await target.refuses(400, 400, { path, headers: good, body: LIST });
  });

  const IDENTITY = ['x-forwarded-client-cert', 'x-forwarded-user', 'x-forwarded-email', 'x-forwarded-groups', 'x-forwarded-preferred-username', 'x-forwarded-access-token', 'x-remote-user', 'x-mcp-user', 'X-MCP-Authorized', 'x-mcp-',
    'x-jwt-claim-sub', 'X-JWT-Payload', 'x-user-sub', 'x-auth-request-user', 'router-key', 'range', 'if-range', 'mcp-init-host', 'x-envoy-original-path', 'x-envoy-retry-on', 'x-envoy-upstream-rq-timeout-ms', 'x-envoy-decorator-operation'];
  const CREDENTIALS = ['cookie', 'proxy-authorization', 'Cookie'];

  /** On every way up none of these headers is there, nor in an answer that is made here. */
  async function assertStripped(forbidden, value) {
    const more = forbidden.map((name) => [name, value]);
    const absent = (request) => {
      const stripped = new Set(forbidden.map((name) => name.toLowerCase()));
      assert.deepEqual(names(request).filter((name) => stripped.has(name)), []);
      assert.ok(!JSON.stringify(request.headers).includes(value));
    };
    const session = await target.openSession();
    const stateless = current('tools/call', { name: 'listAccounts', arguments: {} });
    await target.passes('ledger:ListAccounts', { headers: [...good, ...more], body: LIST }, absent);
    await target.passes('ledger:ListAccounts', { headers: [...good, ...stateless.headers, ...more], body: stateless.body }, absent);
    await target.passes('ledger:Connect', { headers: [...good, ...more], body: '{"jsonrpc":"2.0","method":"notifications/initialized"}' }, absent);
    await target.passes('ledger:Connect', { method: 'GET', headers: [...good, ...more] }, absent);
    await target.passes('ledger:Connect', { method: 'DELETE', headers: [...good, ['mcp-session-id', session], ...more] }, absent);
    // Doubled, and empty.
    await target.passes('ledger:ListAccounts', { headers: [...good, ...more, ...more, ...forbidden.map((name) => [name, ''])].filter(([name]) => name !== 'x-envoy-upstream-rq-timeout-ms'), body: LIST }, absent);
    // Denied, unauthenticated, and public.
    const silent = async (status, request) => {
      await target.eachWay({ ...request, headers: [...request.headers, ...more] }, (answer) => {
        assert.deepEqual([answer.status, sent()], [status, []]);
        assert.ok(!JSON.stringify([...answer.headers, answer.text]).includes(value));
      });
    };
    await silent(403, { headers: good, body: PII });
    await silent(401, { headers: JSON_HEADERS, body: LIST });
    await silent(200, { method: 'GET', path: '/.well-known/oauth-protected-resource', headers: [] });
    await silent(200, { method: 'GET', path: '/.well-known/oauth-protected-resource/mcp', headers: [] });
    await silent(404, { method: 'GET', path: '/elsewhere', headers: good });
  }

  row('T23', async () => {
    await assertStripped(IDENTITY, 'root-7d1f');
    // Some servers read an underscore as a hyphen.
    await each(['X_MCP_USER', 'x_forwarded_user', 'x-mcp_user', 'remote_user'], (name) => turnedAway([400, undefined], { headers: [...good, [name, 'root']], body: LIST }));
    // Whoever names a header as one of the connection has it taken away, be it the token.
    const answer = await raw(target.port, { headers: [...good, ['connection', 'authorization, x-mcp-user, close'], ['content-length', LIST.length]], body: LIST, close: false });
    assert.deepEqual([answer.status, sent()], [401, []]);
  });

  row('T24', () => assertStripped(CREDENTIALS, 'session-7d1f'));

  row('T25', async () => {
    const own = new URL(target.stack.gatewayUrl).origin;
    await each(['https://evil.example', 'null', `${own}.evil.example`, `${own}@evil.example`, `${own}/`, `${own}, https://evil.example`, own.replace('http:', 'https:'), own.replace(/\d+$/, '1'), 'file://', '', '*', 'https://evil.example#'].map((origin) => [origin])
      .concat([[own, 'https://evil.example'], ['https://evil.example', own], [own, own]]), async (origins) => {
      const headers = origins.map((origin) => ['origin', origin]);
      await target.refuses(403, 403, { headers: [...good, ...headers], body: LIST });
      await target.refuses(403, 403, { headers: [...JSON_HEADERS, ...headers], body: LIST });
      await target.refuses(403, 403, { method: 'GET', headers: [...good, ...headers] });
    });
    await lists({ headers: [...good, ['origin', own]], body: LIST });
    // The host is the client's to write: it decides nothing, and the server does not see it.
    await lists({ headers: [...good, ['x-forwarded-host', 'evil.example'], ['x-original-host', 'evil.example']], body: LIST });
    const answer = await raw(target.port, { headers: [['host', 'evil.example'], ...good, ['content-length', LIST.length]], body: LIST });
    assert.equal(answer.status, 200);
    assert.deepEqual(target.echo.take()[0].headers.filter(([name]) => name === 'host'), [['host', target.echo.address]]);
  });

  row('T27', async () => {
    const plain = (request) => assert.deepEqual(names(request).filter((name) => name.includes('encoding')), []);
    const withoutChunks = (request) => plain({ headers: request.headers.filter(([name]) => name !== 'transfer-encoding') });
    await each(['gzip', 'br, gzip', '*', 'identity;q=0, *', 'zstd'], async (value) => {
      const headers = [...good, ['accept-encoding', value], ['Accept-Encoding', 'deflate']];
      await target.passes('ledger:ListAccounts', { headers, body: LIST }, withoutChunks);
      await target.passes('ledger:Connect', { headers, body: '{"jsonrpc":"2.0","id":1,"method":"ping"}' }, withoutChunks);
      await target.passes('ledger:Connect', { method: 'GET', headers }, withoutChunks);
    });
  });

  row('T28', async () => {
    const head = ['POST /mcp HTTP/1.1', 'host: x', ...good.map(([name, value]) => `${name}: ${value}`), `content-length: ${PII.length}`, '', PII.slice(0, 40)].join('\r\n');
    const sockets = Array.from({ length: 8 }, () => connect({ port: target.port, host: '127.0.0.1' }));
    await Promise.all(sockets.map((socket) => new Promise((written) => socket.write(head, written))));
    const before = target.echo.begun;
    // Both workers have had them by the time that they serve others.
    for (let i = 0; i < 8; i += 1) assert.equal((await target.post(LIST)).status, 200);
    assert.equal(target.echo.begun, before + 8);
    await Promise.all(sockets.map(async (socket) => {
      const answer = once(socket, 'data');
      socket.write(PII.slice(40));
      assert.match((await answer)[0].toString(), /^HTTP\/1.1 403/);
      socket.destroy();
    }));
    assert.equal(target.echo.begun, before + 8);
    target.echo.take();
  });

  row('T30', async () => {
    // Retried: the same request under the same delegation token.
    let failures = 0;
    target.echo.answer = (outgoing) => outgoing.writeHead((failures += 1) % 3 ? 503 : 200, { 'content-type': 'application/json' }).end('{}');
    await target.eachWay({ headers: good, body: LIST }, (answer) => {
      const requests = target.echo.take();
      assert.deepEqual([answer.status, requests.map(({ body }) => body.toString())], [200, [LIST, LIST, LIST]]);
      requests.forEach((request) => assertDelegated(request, SARAH.user, 'ledger:ListAccounts'));
    });
    // Sent to the endpoint again: judged again, and a delegation token is no token for this gateway.
    for (const status of [301, 302, 303, 307, 308]) {
      for (const location of ['/mcp', '/mcp?again', '/MCP', `${target.stack.gatewayUrl}#x`]) {
        target.echo.answer = (outgoing) => outgoing.writeHead(status, { location: new URL(location, target.stack.gatewayUrl).href }).end();
        await target.eachWay({ headers: good, body: LIST }, (answer) => {
          assert.equal(answer.status, location === '/MCP' ? 404 : 401);
          const requests = target.echo.take();
          assert.equal(requests.length, 1);
          assertDelegated(requests[0], SARAH.user, 'ledger:ListAccounts');
        });
      }
    }
    // Sent from a path that is not the filter's business to the endpoint: judged there as if it had come there.
    const redirect = async (request, check) => {
      target.echo.answer = (outgoing, { url }) => (url === '/open'
        ? outgoing.writeHead(307, { location: target.stack.gatewayUrl }).end()
        : outgoing.writeHead(200, { 'content-type': 'application/json' }).end('{}'));
      await target.eachWay({ path: '/open', ...request }, (answer) => {
        const [first, ...rest] = target.echo.take();
        assert.equal(first.url, '/open');
        check(answer, rest);
      });
    };
    const refused = (status) => (answer, rest) => assert.deepEqual([answer.status, rest], [status, []]);
    await redirect({ headers: good, body: PII }, refused(403));
    await redirect({ headers: JSON_HEADERS, body: LIST }, refused(401));
    await redirect({ headers: good, body: `[${LIST}` }, refused(400));
    await redirect({ headers: good, body: LIST }, (answer, rest) => {
      assert.deepEqual([answer.status, rest.map(({ body }) => body.toString())], [200, [LIST]]);
      assertDelegated(rest[0], SARAH.user, 'ledger:ListAccounts');
    });
  });
});
