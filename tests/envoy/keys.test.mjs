// Keys that the gateway fetches from their issuer: rotation, floods of unknown keys, and key servers that fail or lie.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { publicPart, readJson, signingKey } from '../../demo/keys.mjs';
import { until } from '../../demo/process.mjs';
import { call, LIST_ACCOUNTS, load, requestHeaders, toolCall } from './support/client.mjs';
import { request2 } from './support/http2.mjs';
import { chunked, raw } from './support/raw-http.mjs';
import { atRest, auditOf, logged, statistic } from './support/records.mjs';
import { ACCESS_TOKEN, reply, ScriptedAuthorizationServer, startScriptedStack } from './support/scripted-authorization-server.mjs';
import { startScriptedServer } from './support/scripted-server.mjs';
import { delegationToken, fingerprint, inboundToken } from './support/tokens.mjs';

const COOLDOWN = 1000;
const TIMEOUT = 1000;
const DECISION_TIME = 5000;
const WORKERS = 2;

/** A stack whose gateway fetches keys from `keyServer`, which has the keys that are `published` besides the delegation tokens' own. */
async function startKeyStack({ remote = {}, gateway = {}, ...options } = {}) {
  const keyServer = await ScriptedAuthorizationServer.start();
  const settings = { cluster: 'keys', authority: 'login.example', path: '/jwks', cooldown: `${COOLDOWN}ms`, timeout: `${TIMEOUT}ms`, interval: '1h', ...remote };
  const set = {
    'envoy.clusters.keys': keyServer.address,
    'issuers[0].remote_jwks': JSON.stringify(settings),
    'limits.decision_time': `${DECISION_TIME}ms`,
    'exchange.timeout': '3s',
  };
  keyServer.published = [];
  let own = [];
  keyServer.document = () => ({ keys: [...own, ...keyServer.published].map(publicPart) });
  keyServer.serve = (request, response) => reply(response, 200, keyServer.document());
  keyServer.script = (request, response) => reply(response, 503, '');
  try {
    const { stack, scripted } = await startScriptedStack({ ...options, gateway: { workers: WORKERS, ...gateway, set: { ...set, ...gateway.set } } });
    const stop = stack.stop.bind(stack);
    stack.stop = async () => { await stop(); await keyServer.stop(); };
    const [rsa, ec] = ['RS256', 'ES256'].map((alg) => readJson(stack.keys.authorizationServer).jwks.keys.find((key) => key.alg === alg));
    own = [ec];
    keyServer.published = [rsa];
    keyServer.script = keyServer.serve;
    // The demo's server would not exchange tokens by keys that it does not have.
    scripted.script = (request, response, body) => reply(response, 200, {
      access_token: delegationToken(stack, new URLSearchParams(body.toString())),
      issued_token_type: ACCESS_TOKEN, token_type: 'Bearer', expires_in: 5,
    });
    return { stack, keyServer, scripted, rsa };
  } catch (error) {
    await keyServer.stop();
    throw error;
  }
}

/** Until a key that is not known may lead to a fetch again, in every worker. */
const cooledDown = () => sleep(COOLDOWN + 200);

describe('requests by a key that the gateway does not know yet', () => {
  let stack;
  let keyServer;
  let scripted;
  let server;
  let key;
  let token;
  let keysCame;
  before(async () => {
    server = await startScriptedServer();
    server.answer = (outgoing, incoming) => (incoming.method === 'POST'
      ? outgoing.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc":"2.0","id":7,"result":{}}')
      : outgoing.writeHead(405).end());
    ({ stack, keyServer, scripted } = await startKeyStack({ upstream: server.address }));
  });
  after(async () => {
    await stack?.stop();
    await server?.stop();
  });
  // A new key each time; the key server takes its time, so that parts of the body come before the keys and after them.
  beforeEach(async () => {
    await cooledDown();
    key = await signingKey();
    keyServer.published = [key];
    ({ token } = inboundToken(stack, {}, key));
    const came = Promise.withResolvers();
    keysCame = came.promise;
    keyServer.script = async (request, response) => {
      await sleep(400);
      keyServer.serve(request, response);
      await until(async () => await statistic(stack, 'cluster.keys.upstream_rq_active') === 0, 'the keys in Envoy');
      came.resolve();
    };
    server.take();
  });

  const large = JSON.stringify(toolCall('listAccounts', { note: 'x'.repeat(200_000) }, 7));
  const pieces = (text) => [text.slice(0, 11), text.slice(11, 40), text.slice(40)];
  const spread = (parts, pauses) => parts.flatMap((part, index) => [pauses[index], part]);
  const port = () => stack.ports.gateway;
  const headers = () => Object.entries(requestHeaders(token));
  const sized = (text) => [...headers(), ['content-length', Buffer.byteLength(text)]];
  const inChunks = () => [...headers(), ['transfer-encoding', 'chunked']];

  for (const [what, send, body = LIST_ACCOUNTS] of [
    ['all at once', (text) => raw(port(), { headers: sized(text), body: text })],
    ['200 kB at once', (text) => raw(port(), { headers: sized(text), body: text }), large],
    ['a body that ends before the keys come', (text) => raw(port(), { headers: sized(text), body: spread(pieces(text), [0, 100, 100]) })],
    ['a body that ends after the keys came', (text) => raw(port(), { headers: sized(text), body: spread(pieces(text), [0, 100, keysCame]) })],
    ['a body that begins after the keys came', (text) => raw(port(), { headers: sized(text), body: [keysCame, text] })],
    ['chunks', (text) => raw(port(), { headers: inChunks(), body: chunked(pieces(text)) })],
    ['chunks before and after the keys', (text) => raw(port(), { headers: inChunks(), body: spread(chunked(pieces(text)), [0, 100, keysCame, 100]) })],
    ['chunks and trailers', (text) => raw(port(), { headers: inChunks(), body: chunked(pieces(text), [['x-user', 'root']]) })],
    ['Expect: 100-continue', (text) => raw(port(), { headers: [...sized(text), ['expect', '100-continue']], body: [100, text] }, { answers: 2 })],
    ['HTTP/2', (text) => request2(port(), { headers: requestHeaders(token), pieces: pieces(text) })],
    ['HTTP/2 with 200 kB', (text) => request2(port(), { headers: requestHeaders(token), pieces: pieces(text) }), large],
    ['HTTP/2, an empty frame at the end', (text) => request2(port(), { headers: requestHeaders(token), pieces: pieces(text), emptyEnd: true })],
    ['HTTP/2 with trailers', (text) => request2(port(), { headers: requestHeaders(token), pieces: pieces(text), trailers: { 'x-user': 'root' } })],
  ]) {
    test(`${what}: judged when the keys are there, and passed on as they came`, async () => {
      const answer = await send(body);
      assert.equal(answer?.status, 200, answer?.text);
      const [request, ...more] = server.take();
      assert.deepEqual(more, []);
      assert.equal(request.body, body);
      assert.ok(request.headers.authorization && !request.headers.authorization.includes(token));
    });
  }

  for (const method of ['GET', 'DELETE']) {
    test(`${method} without a body`, async () => {
      const answer = await raw(port(), { method, headers: [['authorization', `Bearer ${token}`], ['accept', 'text/event-stream']] });
      assert.equal(answer.status, 405, 'the MCP server\'s');
      assert.deepEqual(server.take().map((request) => request.method), [method]);
    });
  }

  test('a tool that the caller may not call is denied all the same, with its id', async () => {
    const narrow = inboundToken(stack, { scope: 'mcp:connect' }, key);
    const { status, headers: fields, message } = await call(stack, narrow.token, toolCall('getCustomerPII', { customerId: '1' }, 7));
    assert.equal(status, 403);
    assert.match(fields['www-authenticate'], /insufficient_scope/);
    assert.equal(message.id, 7);
    assert.deepEqual(server.take(), []);
    assert.equal((await auditOf(stack, narrow.id)).length, 1);
  });

  test('a delegation token by a key that nobody announced is asked for again when the keys are there', async () => {
    assert.equal((await call(stack, token)).status, 200);
    await cooledDown();
    const fresh = await signingKey('ES256');
    keyServer.published = [key, fresh];
    const before = scripted.script;
    scripted.script = (request, response, body) => reply(response, 200, {
      access_token: delegationToken(stack, new URLSearchParams(body.toString()), {}, fresh),
      issued_token_type: ACCESS_TOKEN, token_type: 'Bearer', expires_in: 5,
    });
    const another = inboundToken(stack, {}, key);
    assert.equal((await call(stack, another.token)).status, 200);
    scripted.script = before;
  });

  test('a body above the limit is refused while the keys are on their way', async () => {
    keyServer.script = () => {};
    const text = JSON.stringify(toolCall('listAccounts', { note: 'x'.repeat(1_100_000) }));
    const answer = await raw(port(), { headers: sized(text), body: text });
    assert.equal(answer.status, 413);
    assert.deepEqual(server.take(), []);
  });

  test('who goes away while the keys are on their way leaves nothing behind', async () => {
    const controller = new AbortController();
    const gone = fetch(stack.gatewayUrl, { method: 'POST', headers: requestHeaders(token), body: LIST_ACCOUNTS, signal: controller.signal });
    const asked = keyServer.asked.length;
    await until(() => keyServer.asked.length > asked, 'a fetch');
    controller.abort();
    await assert.rejects(gone);
    assert.equal((await until(async () => {
      const answer = await call(stack, token);
      return answer.status === 200 && answer;
    }, 'the new key')).status, 200);
    await atRest(stack);
  });
});

describe('rotation', () => {
  let stack;
  let keyServer;
  let rsa;
  before(async () => { ({ stack, keyServer, rsa } = await startKeyStack()); });
  after(() => stack?.stop());

  test('under load drops no call: by the old key, by both, by the new one, which nobody announced', async () => {
    const clients = (key) => Array.from({ length: 5 }, () => inboundToken(stack, {}, key));
    const old = clients(rsa);
    const before = load(stack, old);
    await until(() => before.answers.length > 50, 'calls by the old key');
    await cooledDown();
    const key = await signingKey();
    keyServer.published = [rsa, key];
    const later = load(stack, clients(key));
    await until(() => later.answers.length > 50, 'calls by the new key');
    const between = [...await before.stop()];
    keyServer.published = [key];
    // The old key is withdrawn: with the next fetch of its worker each of them is nobody.
    const withdrawn = async ({ token }) => (await call(stack, token)).status === 401;
    await until(async () => {
      const stranger = inboundToken(stack, {}, { ...key, kid: randomUUID() });
      await Promise.all(Array.from({ length: 8 }, () => call(stack, stranger.token)));
      for (let round = 0; round < 8; round += 1) {
        if (!(await Promise.all(old.map(withdrawn))).every(Boolean)) return false;
      }
      return true;
    }, 'the end of the old key');
    const seen = later.answers.length;
    await until(() => later.answers.length > seen + 20, 'more calls by the new key');
    const answers = [...between, ...await later.stop()];
    assert.deepEqual(answers.filter(({ status }) => status !== 200), []);
    await atRest(stack);
  });

  test('K05: a flood of unknown keys costs no more fetches than the cooldown allows', async () => {
    const key = await signingKey();
    const strangers = Array.from({ length: 20 }, () => inboundToken(stack, {}, { ...key, kid: randomUUID() }));
    const [started, fetches] = [performance.now(), keyServer.asked.length];
    const statuses = new Set();
    let sent = 0;
    while (performance.now() - started < 3 * COOLDOWN) {
      for (const { status } of await Promise.all(strangers.map(({ token }) => call(stack, token)))) statuses.add(status);
      sent += strangers.length;
    }
    const windows = Math.floor((performance.now() - started) / COOLDOWN) + 1;
    const more = keyServer.asked.length - fetches;
    assert.deepEqual([...statuses], [401]);
    assert.ok(more <= windows * WORKERS, `${more} fetches for ${sent} tokens`);
    assert.ok(sent > more * 5);
  });
});

describe('a key server that fails or lies', () => {
  let stack;
  let keyServer;
  let good;
  let stranger;
  let refused = 0;
  before(async () => {
    let rsa;
    ({ stack, keyServer, rsa } = await startKeyStack());
    good = inboundToken(stack, {}, rsa);
    stranger = inboundToken(stack, {}, await signingKey());
    await until(async () => (await call(stack, good.token)).status === 200 && keyServer.asked.length > WORKERS, 'the first fetches');
  });
  after(() => stack?.stop());

  const many = () => JSON.stringify({ keys: Array.from({ length: 10_000 }, (_, kid) => ({ ...keyServer.document().keys[0], kid: `${kid}` })) });
  const twice = () => JSON.stringify({ keys: [...keyServer.document().keys, ...keyServer.document().keys] });
  for (const [what, script] of Object.entries({
    'a 500': (request, response) => reply(response, 500, keyServer.document()),
    'a redirection': (request, response) => reply(response, 302, '', { location: `http://${keyServer.address}/elsewhere` }),
    'a page': (request, response) => reply(response, 200, '<html>Sign in</html>', { 'content-type': 'text/html' }),
    'keys that are called a page': (request, response) => reply(response, 200, keyServer.document(), { 'content-type': 'text/html' }),
    '10 MiB': (request, response) => reply(response, 200, `{"keys":[],"x":"${'x'.repeat(10 * 1024 * 1024)}"}`),
    '10 000 keys': (request, response) => reply(response, 200, many()),
    'every kid twice': (request, response) => reply(response, 200, twice()),
    'no keys': (request, response) => reply(response, 200, { keys: [] }),
    'half a set': (request, response) => reply(response, 200, JSON.stringify(keyServer.document()).slice(0, -3)),
    'an answer that is cut off': (request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': 100_000 }).write('{"keys":[');
      setTimeout(() => response.destroy(), 50);
    },
    'a connection that is cut off': (request) => request.socket.destroy(),
    'no answer': () => {},
    'an answer that never ends': (request, response) => { response.writeHead(200, { 'content-type': 'application/json' }).write('{"keys":['); },
  })) {
    test(`K16: ${what}: the good keys stay, and nobody is told that an unknown one is bad`, async () => {
      keyServer.script = script;
      const asked = keyServer.asked.length;
      await cooledDown();
      // Whoever is the first in its worker waits for this answer. A worker that has a fetch of its own
      // to blame says 503 too.
      const answers = await Promise.all(Array.from({ length: 10 }, () => call(stack, stranger.token)));
      for (const { status, headers } of answers) {
        assert.deepEqual([status, headers['retry-after'], headers['www-authenticate']], [503, '1', undefined]);
      }
      const records = (await auditOf(stack, fingerprint(stranger.token), refused + answers.length)).slice(refused);
      assert.deepEqual([...new Set(records.map(({ reason }) => reason))], ['keys_unavailable']);
      refused += records.length;
      assert.ok(keyServer.asked.length > asked);
      const known = await Promise.all(Array.from({ length: 10 }, () => call(stack, good.token)));
      assert.deepEqual(known.map(({ status }) => status), known.map(() => 200));
    });
  }

  test('is killed: the good keys stay, and when it is back it is believed', async () => {
    await keyServer.stop();
    await cooledDown();
    const key = await signingKey();
    const { token, id } = inboundToken(stack, {}, key);
    const answer = await call(stack, token);
    assert.equal(answer.status, 503);
    const [record] = await auditOf(stack, fingerprint(token));
    assert.deepEqual([record.decision, record.reason], ['refuse', 'keys_unavailable']);
    assert.equal((await call(stack, good.token)).status, 200);
    await logged(stack, /\[error\].*keys of `http:[^`]*`: not fetched/);

    keyServer.published = [key];
    keyServer.script = keyServer.serve;
    await keyServer.listen();
    await until(async () => (await call(stack, token)).status === 200, 'the new key', { seconds: 30 });
    assert.ok((await auditOf(stack, id)).some(({ decision }) => decision === 'allow'));
    await atRest(stack);
  });
});

describe('no pushed keys at all', () => {
  let stack;
  let keyServer;
  let rsa;
  before(async () => {
    const withoutKeys = (text) => text.replace(/^( *)"jwks": \{[\s\S]*?^\1\},\n/m, '');
    ({ stack, keyServer, rsa } = await startKeyStack({ gateway: { edit: { 'filter.yaml': withoutKeys } } }));
    keyServer.script = (request, response) => reply(response, 503, '');
  });
  after(() => stack?.stop());

  test('F03: 503 until the first set is fetched, and then as ever', async () => {
    const { token } = inboundToken(stack, {}, rsa);
    await until(async () => (await call(stack, token)).status === 503, 'the failure of the first fetch');
    keyServer.script = keyServer.serve;
    const statuses = new Set();
    await until(async () => {
      const { status } = await call(stack, token);
      statuses.add(status);
      return status === 200;
    }, 'the first set', { seconds: 30 });
    statuses.delete(200);
    statuses.delete(503);
    assert.deepEqual([...statuses], []);
  });
});
