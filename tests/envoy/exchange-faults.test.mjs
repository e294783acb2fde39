// The authorization server says no, says nothing, or says something else: what the client is told, and that nothing goes up.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ACCESS_TOKEN, auditOf, call, delegationToken, inboundToken, logged, reply, startScriptedStack } from './support/faults.mjs';

const TIMEOUT = 1000;
const ENOUGH = 4000; // the timeout, and what a busy machine adds

describe('an exchange that gives no delegation token', () => {
  let stack;
  let scripted;
  before(async () => {
    ({ stack, scripted } = await startScriptedStack({ gateway: { set: { 'exchange.timeout': `${TIMEOUT}ms`, 'limits.decision_time': '5s' } } }));
  });
  after(() => stack?.stop());

  // Calls once under `script`; nothing may reach the ledger, and the record must say why.
  async function refused(script, { reason, detail, decision = 'refuse' }) {
    const [before, { token, id }] = [stack.ledgerRequests().length, await inboundToken(stack)];
    scripted.script = script;
    const answer = await call(stack, token);
    const [record, ...more] = await auditOf(stack, id);
    assert.deepEqual(more, []);
    assert.equal(record.reason, reason);
    assert.equal(record.decision, decision);
    if (detail) assert.equal(record.detail, detail);
    assert.equal(record.status, answer.status);
    assert.equal(record.upstream_status, undefined);
    assert.equal(stack.ledgerRequests().length, before);
    return answer;
  }
  const error = (status, code) => (request, response) => reply(response, status, { error: code, error_description: 'SECRET DETAIL' });

  for (const code of ['invalid_scope', 'invalid_target', 'access_denied']) {
    test(`${code}: the model is told, in a JSON-RPC error`, async () => {
      const { status, message } = await refused(error(400, code), { reason: 'exchange_denied', decision: 'deny' });
      assert.equal(status, 200);
      assert.deepEqual(message, { jsonrpc: '2.0', id: 7,
        error: { code: 403, message: 'Access denied: the authorization server does not delegate this operation.' } });
    });
  }

  for (const code of ['invalid_grant', 'invalid_request']) {
    test(`${code}: the client must sign in again`, async () => {
      const { status, headers } = await refused(error(400, code), { reason: 'exchange_subject_rejected' });
      assert.equal(status, 401);
      assert.match(headers['www-authenticate'], /^Bearer error="invalid_token"/);
    });
  }

  for (const [status, code] of [[401, 'invalid_client'], [400, 'unauthorized_client']]) {
    test(`${code}: an operator must look, and the client learns nothing`, async () => {
      const answer = await refused(error(status, code), { reason: 'exchange_client_rejected' });
      assertNoUsableToken(answer);
      await logged(stack, /\[error\].*token exchange: exchange_client_rejected/);
    });
  }

  for (const [what, script] of Object.entries({
    '500': (request, response) => reply(response, 500, { error: 'server_error' }),
    '503 of its own': (request, response) => reply(response, 503, 'down for maintenance'),
    '429': (request, response) => reply(response, 429, { error: 'slow_down' }),
    temporarily_unavailable: error(400, 'temporarily_unavailable'),
  })) {
    test(`${what}: retry later`, async () => assertRetryLater(await refused(script, { reason: 'exchange_unavailable' })));
  }

  for (const [what, script] of Object.entries({
    'an accepted request that is never answered': () => {},
    'headers, and then nothing': (request, response) => { response.writeHead(200, { 'content-type': 'application/json' }).write('{'); },
    'a reply that is cut off': (request, response) => {
      response.writeHead(200, { 'content-length': 100 }).write('{');
      setTimeout(() => response.destroy(), 100);
    },
    'a reply above what Envoy reads': (request, response) => reply(response, 200, 'x'.repeat(40 * 1024 * 1024)),
    'a connection that is cut off': (request) => request.socket.destroy(),
    'bytes that are not HTTP': (request) => request.socket.end('\u0000\u0001 garbage\r\n\r\n'),
  })) {
    test(`${what}: 503 in time`, async () => {
      const answer = await refused(script, { reason: 'exchange_no_answer' });
      assertRetryLater(answer);
      assert.ok(answer.ms < ENOUGH, `${answer.ms} ms`);
    });
  }

  test('a refused connection: 503 in time', async () => {
    await scripted.stop();
    const answer = await refused(undefined, { reason: 'exchange_no_answer' });
    assertRetryLater(answer);
    assert.ok(answer.ms < ENOUGH, `${answer.ms} ms`);
    await scripted.listen();
  });

  for (const [what, script, detail] of [
    ['text', (request, response) => reply(response, 200, 'welcome', { 'content-type': 'text/html' }), 'not JSON'],
    ['an empty body', (request, response) => reply(response, 200, ''), 'not JSON'],
    ['one member twice', (request, response) => reply(response, 200, '{"access_token":"a","access_token":"b"}'), 'not JSON'],
    ['no token', (request, response) => reply(response, 200, {}), 'members are missing'],
    ['a redirect', (request, response) => reply(response, 302, '', { location: 'https://elsewhere.example/' }), 'not JSON'],
    ['a huge body', (request, response) => reply(response, 200, `"${'x'.repeat(4 * 1024 * 1024)}"`), 'too large'],
    ['an unknown error', error(400, 'out_of_coffee'), 'an error code that means nothing here'],
  ]) {
    test(`${what} for a reply: 502`, async () => assertNoUsableToken(await refused(script, { reason: 'exchange_bad_reply', detail })));
  }

  const now = Math.floor(Date.now() / 1000);
  for (const [what, claims, reason, detail] of [
    ['for another subject', { sub: 'john.mcclane@orchestrator.lab' }, 'exchange_bad_reply', 'the token is for another subject'],
    ['with another scope', { scope: 'ledger:UpdateAccount' }, 'exchange_bad_reply', 'it has scopes that were not asked for'],
    ['with one scope more', { scope: 'ledger:ListAccounts ledger:ReadPII' }, 'exchange_bad_reply', 'it has scopes that were not asked for'],
    ['of another actor', { act: { sub: 'somebody-else' } }, 'exchange_bad_reply', 'the token does not name this gateway as the actor'],
    ['that lives an hour', { exp: now + 3600 }, 'exchange_bad_token'],
    ['for another service', { aud: 'https://elsewhere.example/' }, 'exchange_bad_token'],
    ['that has expired', { iat: now - 60, exp: now - 55 }, 'exchange_bad_token'],
  ]) {
    test(`a token ${what}, well signed: 502`, async () => {
      const script = async (request, response, body) => {
        const form = new URLSearchParams(body.toString());
        reply(response, 200, { access_token: await delegationToken(stack, form, claims), issued_token_type: ACCESS_TOKEN, token_type: 'Bearer', expires_in: 5 });
      };
      assertNoUsableToken(await refused(script, { reason, detail }));
      await logged(stack, new RegExp(`\\[error\\].*token exchange: ${reason}`));
    });
  }

  test('the caller\'s own token: 502', async () => {
    const script = (request, response, body) => reply(response, 200, {
      access_token: new URLSearchParams(body.toString()).get('subject_token'), issued_token_type: ACCESS_TOKEN, token_type: 'Bearer', expires_in: 5,
    });
    assertNoUsableToken(await refused(script, { reason: 'exchange_bad_reply', detail: "the caller's own token came back" }));
  });

  test('what the scripted server signs as it should is used', async () => {
    scripted.script = async (request, response, body) => {
      const form = new URLSearchParams(body.toString());
      reply(response, 200, { access_token: await delegationToken(stack, form), issued_token_type: ACCESS_TOKEN, token_type: 'Bearer', expires_in: 5 });
    };
    const { token } = await inboundToken(stack);
    assert.equal((await call(stack, token)).status, 200);
  });

  test('a cluster that Envoy does not know: 503 at once, and an error in its log', async () => {
    const edit = { 'filter.yaml': (text) => text.replace('"cluster": "authorization_server"', '"cluster": "nowhere"') };
    assert.equal(await stack.reconfigure({ edit }), 'accepted');
    assertRetryLater(await refused(scripted.passOn, { reason: 'exchange_unreachable' }));
    await logged(stack, /\[error\].*token exchange: cluster `nowhere`/);
    assert.equal(await stack.reconfigure({}), 'accepted');
    const { token } = await inboundToken(stack);
    assert.equal((await call(stack, token)).status, 200);
  });
});

function assertRetryLater({ status, headers, message }) {
  assert.equal(status, 503);
  assert.equal(headers['retry-after'], '1');
  assert.equal(message.error.code, -32603);
  assert.equal(message.id, 7);
}

function assertNoUsableToken({ status, headers, message }) {
  assert.equal(status, 502);
  assert.deepEqual(message, { jsonrpc: '2.0', id: 7,
    error: { code: -32603, message: 'The authorization server gave no usable delegation token.' } });
  assert.equal(headers['www-authenticate'], undefined);
}
